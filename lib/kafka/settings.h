/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a process may say about Kafka before it opens a handle (consumer.h, txn.h): where
 * librdkafka's log lines go, and whether the user's "kafka.*" keys are acceptable.
 */
#ifndef PL_KAFKA_SETTINGS_H
#define PL_KAFKA_SETTINGS_H

#include "lib/kafka/consumer.h"

/* Receives librdkafka's log lines: syslog level 0..7, facility, text, all borrowed for the call.
 * Called from librdkafka's own threads, so it must be thread-safe and quick. */
typedef void pl_kafka_log_sink(int level, const char *facility, const char *text);

/* Sets the process-wide sink before the first handle is opened; NULL restores the default, one line
 * on stderr. Nothing else in lib/kafka logs. */
void pl_kafka_set_log(pl_kafka_log_sink *sink);

/* Refuses wrong overrides at start, before any broker is asked: every handle's configuration is
 * built and thrown away. FATAL_CONFIG with librdkafka's text for an unknown key or a wrong value,
 * or with the reason why a key may not be set. */
enum pl_err pl_kafka_check(const struct pl_kafka_settings *settings);

#endif
