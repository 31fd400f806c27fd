package bench;

/** What happened, over all topics; the names are those of the Avro enums. */
enum Kind {
    LOGIN, SESSION, EXPORT, ERROR,
    SUBSCRIBE, INVOICE, PAYMENT, PAYMENT_FAILED, PLAN_CHANGE, CANCEL,
    TICKET_OPENED, TICKET_RESOLVED,
    SURVEY_ANSWERED,
    PROFILE_CHANGED,
    CLOCK;

    boolean isUrgent() {
        return this == PAYMENT_FAILED || this == PLAN_CHANGE || this == TICKET_OPENED;
    }
}
