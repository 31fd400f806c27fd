package bench;

/** One decoded record; which of the values are set follows from the kind. NaN is missing. */
final class Event {
    Kind kind;
    long time;
    long known;
    long day; // of a clock record
    double minutes = Double.NaN;
    double amount = Double.NaN;
    double price = Double.NaN;
    double sentiment = Double.NaN;
    double csat = Double.NaN;
    double seats = Double.NaN;
    double plan = Double.NaN; // categories as their numbers
    double country = Double.NaN;
    double channel = Double.NaN;
}
