/* SPDX-License-Identifier: Apache-2.0 */
/* Differences in words (difference.h). */
#include "services/cli/difference.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "services/cli/compare.h"

enum { HASH_TEXT_BYTES = 2 * PL_HASH_BYTES + 1, SENTENCE_BYTES = 800 };

static const char *hint_of(const char *what)
{
    static const struct {
        const char *what, *hint;
    } hints[] = {
        {"inputs",
         "What the step read is not what the bundle holds: plimsoll verify names the first "
         "bad record."},
        {"book",
         "A holdings record is missing or changed, or book.accounts_max was another: plimsoll "
         "verify names the first bad record."},
        {"states", "An account state is missing or changed: plimsoll verify names the first bad "
                   "record."},
        {"journal", "An entry is missing, out of order or changed: plimsoll verify names the first "
                    "bad one."},
        {"verdict",
         "Fast and plain evaluation of the same inputs disagree: the code or the machine is "
         "wrong."},
    };
    for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++)
        if (strcmp(what, hints[i].what) == 0)
            return hints[i].hint;
    return "The inputs are those that the step read, so the record was changed or other code "
           "decided "
           "it.";
}

/* Where, what, and where to look. */
static void print_text(struct replay_difference *difference, const char *sentence)
{
    int used = snprintf(difference->text, sizeof(difference->text),
                        "partition %d, entry %llu (journal offset %lld, clock %lld): %s. %s",
                        (int)difference->partition, (unsigned long long)difference->sequence,
                        (long long)difference->journal_offset, (long long)difference->clock_ms,
                        sentence, hint_of(difference->what));
    if (difference->account.size_bytes > 0 && used > 0 && (size_t)used < sizeof(difference->text))
        snprintf(difference->text + used, sizeof(difference->text) - (size_t)used,
                 " plimsoll explain %s --at sequence=%llu shows every term.",
                 difference->account.text, (unsigned long long)difference->sequence);
}

static void print_value(char *text, size_t size_bytes, const char *value)
{
    snprintf(text, size_bytes, "%s", value ? value : "");
}

enum pl_err difference_say(struct replay_difference *difference, const struct finding *finding,
                           const char *format, ...)
{
    char sentence[SENTENCE_BYTES];
    va_list arguments;
    difference->what = finding->what;
    difference->instrument = finding->instrument;
    if (pl_id_set(&difference->account, finding->account.data, finding->account.size_bytes))
        difference->account = (struct pl_id){0};
    print_value(difference->term, sizeof(difference->term), finding->term);
    print_value(difference->recorded, sizeof(difference->recorded), finding->recorded);
    print_value(difference->replayed, sizeof(difference->replayed), finding->replayed);
    va_start(arguments, format);
    vsnprintf(sentence, sizeof(sentence), format, arguments);
    va_end(arguments);
    print_text(difference, sentence);
    return pl_err_set(PL_FATAL_DIVERGED, "%s", difference->text);
}

enum pl_err difference_in_number(struct replay_difference *difference, const char *what,
                                 const char *term, int64_t recorded, int64_t replayed)
{
    char left[24], right[24];
    snprintf(left, sizeof(left), "%lld", (long long)recorded);
    snprintf(right, sizeof(right), "%lld", (long long)replayed);
    return difference_say(
        difference,
        &(struct finding){.what = what, .term = term, .recorded = left, .replayed = right},
        "the entry says %s %s, its inputs make it %s", term, left, right);
}

static enum pl_err say_digests(struct replay_difference *difference, const struct finding *finding)
{
    return difference_say(difference, finding,
                          "the entry's digest of %s is %.16s…, that of what is here %.16s…",
                          finding->term, finding->recorded, finding->replayed);
}

static void print_hash(const uint8_t hash[PL_HASH_BYTES], char text[HASH_TEXT_BYTES])
{
    for (unsigned i = 0; i < PL_HASH_BYTES; i++)
        snprintf(text + 2 * i, 3, "%02x", hash[i]);
}

enum pl_err difference_in_hash(struct replay_difference *difference, const char *what,
                               const char *term, const uint8_t recorded[PL_HASH_BYTES],
                               const uint8_t replayed[PL_HASH_BYTES])
{
    char left[HASH_TEXT_BYTES], right[HASH_TEXT_BYTES];
    print_hash(recorded, left);
    print_hash(replayed, right);
    return say_digests(
        difference,
        &(struct finding){.what = what, .term = term, .recorded = left, .replayed = right});
}

enum pl_err difference_in_digest(struct replay_difference *difference, const char *what,
                                 const char *term, struct pl_digest recorded,
                                 struct pl_digest replayed)
{
    char left[40], right[40];
    snprintf(left, sizeof(left), "%016llx%016llx", (unsigned long long)recorded.high,
             (unsigned long long)recorded.low);
    snprintf(right, sizeof(right), "%016llx%016llx", (unsigned long long)replayed.high,
             (unsigned long long)replayed.low);
    return say_digests(
        difference,
        &(struct finding){.what = what, .term = term, .recorded = left, .replayed = right});
}

/* ---- verdicts ------------------------------------------------------------------------------- */

enum pl_err difference_in_verdict(struct replay_difference *difference, const struct pl_id *account,
                                  const struct pl_names *names, const struct confirm_result *result)
{
    static const char *const tiers[PL_TIER_COUNT] = {"alert", "initial", "end", "maintenance"};
    char fast[PL_I128_TEXT_BYTES], plain[PL_I128_TEXT_BYTES];
    pl_i128_print(result->fast, fast);
    pl_i128_print(result->plain, plain);
    struct finding finding = {.what = "verdict",
                              .term = tiers[result->tier],
                              .recorded = fast,
                              .replayed = plain,
                              .account = {(const uint8_t *)account->text, account->size_bytes}};
    if (result->instrument != UINT32_MAX)
        finding.instrument = names->ids[result->instrument];
    return difference_say(difference, &finding,
                          "the %s excess of account %s%s%s is %s by the evaluation that decides "
                          "and %s as the sum of its terms (10^-18 USD)",
                          finding.term, account->text, finding.instrument.size_bytes ? " in " : "",
                          finding.instrument.text, fast, plain);
}

/* ---- outputs -------------------------------------------------------------------------------- */

static const char *output_word(enum pl_topic topic)
{
    return topic == PL_TOPIC_ORDERS     ? "order"
           : topic == PL_TOPIC_ALERTS   ? "alert"
           : topic == PL_TOPIC_ACCOUNTS ? "state"
                                        : "dead letter";
}

enum pl_err difference_in_output(struct replay_difference *difference,
                                 const struct published_difference *found)
{
    const char *word = output_word(found->topic);
    const struct pl_record *recorded = &found->recorded;
    bool is_recorded = found->answer != PUBLISHED_MISSING;
    struct pl_bytes_view key = is_recorded ? recorded->key : found->replayed->key;
    int key_bytes = key.size_bytes < 64 ? (int)key.size_bytes : 64;
    const char *key_text = key.data ? (const char *)key.data : "";
    bool is_letter = found->topic == PL_TOPIC_DEADLETTER; /* whose key may be anything */
    const char *whose = is_letter ? "key" : "account";
    struct compare_result compared = {0};
    struct finding finding = {.what = word};
    if (!is_letter)
        finding.account = key;
    if (found->answer == PUBLISHED_MISSING) {
        finding.recorded = "nothing";
        finding.replayed = word;
        return difference_say(difference, &finding, "%s %.*s needs this %s and nobody published it",
                              whose, key_bytes, key_text, word);
    }
    if (found->answer == PUBLISHED_EXTRA) {
        finding.recorded = word;
        finding.replayed = "nothing";
        return difference_say(difference, &finding,
                              "%s partition %d offset %lld: %s %.*s needs no such %s",
                              pl_topic_word(found->topic), (int)recorded->partition,
                              (long long)recorded->offset, whose, key_bytes, key_text, word);
    }
    compare_values(found->topic, recorded->value, found->replayed->value, &compared);
    finding.instrument = compared.instrument;
    finding.term = compared.field;
    finding.recorded = compared.recorded;
    finding.replayed = compared.replayed;
    return difference_say(difference, &finding,
                          "%s partition %d offset %lld: the %s of account %.*s%s%s says %s "
                          "%s, replayed it is %s",
                          pl_topic_word(found->topic), (int)recorded->partition,
                          (long long)recorded->offset, word, key_bytes, key_text,
                          compared.instrument.size_bytes ? " in " : "", compared.instrument.text,
                          compared.field, compared.recorded, compared.replayed);
}
