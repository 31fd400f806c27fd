"""From event history to a released model: ingest, label, train, evaluate, release, answer retrain signals.

Features come from the pure modules of ``stream_app``; no feature code lives here. Files and topics are touched by
named modules only: `topic_reader` and `release` (Kafka), `ingest` and `history` (lake), `registry` (model folder).
"""
