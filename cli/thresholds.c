/* --fail-on NAME=LIMIT: the conditions that make a reading command exit with status 1, for CI jobs (reading.h). */
#include <stdlib.h>
#include <string.h>

#include "reading.h"
#include "units.h"

#define THRESHOLD_PERCENT_UNIT 100

/* "0.85". Returns 0 or -1. */
static int parse_share(const char *text, uint64_t *ret_limit)
{
    char *end;
    double share = strtod(text, &end);
    if (end == text || *end || !(share >= 0 && share <= 1) || !strchr("0123456789.", *text))
        return -1;
    *ret_limit = (uint64_t)(share * THRESHOLD_SHARE_UNIT + 0.5);
    return 0;
}

/* "12.5%", in hundredths of a percent. Returns 0 or -1. */
static int parse_percent(const char *text, uint64_t *ret_limit)
{
    char *end;
    double percent = strtod(text, &end);
    if (end == text || strcmp(end, "%") || !(percent >= 0 && percent < 1e12) || !strchr("0123456789.", *text))
        return -1;
    *ret_limit = (uint64_t)(percent * THRESHOLD_PERCENT_UNIT + 0.5);
    return 0;
}

static int parse_limit(const struct threshold_value *value, const char *text, uint64_t *ret_limit)
{
    int64_t count;
    if (value->kind == THRESHOLD_BYTES || value->kind == THRESHOLD_GREW)
        return units_parse_bytes(text, ret_limit);
    if (value->kind == THRESHOLD_SHARE)
        return parse_share(text, ret_limit);
    if (value->kind == THRESHOLD_PERCENT)
        return parse_percent(text, ret_limit);
    if (units_parse_count(text, &count))
        return -1;
    *ret_limit = (uint64_t)count;
    return 0;
}

static int stands_alone(const struct threshold_value *value)
{
    return value->kind == THRESHOLD_SHARE || value->kind == THRESHOLD_GREW || value->kind == THRESHOLD_PERCENT;
}

/* Splits "peak=500M": the value of that name, and the limit. Exits with status 2 where it means nothing. */
static const struct threshold_value *parse(const struct reading *reading, const char *condition, const struct threshold_value *values,
                                           int value_count, uint64_t *ret_limit)
{
    static const char *const kinds[] = {"number", "size", "number from 0 to 1", "size", "size or percentage"};
    const char *command = reading->command->name, *equals = strchr(condition, '='), *wanted = NULL;
    for (int i = 0; !equals && i < value_count; i++)
        if (stands_alone(&values[i]) && !parse_limit(&values[i], condition, ret_limit))
            return &values[i];
    if (!equals)
        fail_usage(command, "%s: --fail-on wants NAME=LIMIT, such as %s=%s, not '%s'", command, values[0].name,
                   values[0].kind == THRESHOLD_BYTES || values[0].kind == THRESHOLD_GREW ? "500M" : "0", condition);
    size_t length = (size_t)(equals - condition);
    for (int i = 0; i < value_count; i++) {
        if (strlen(values[i].name) != length || strncmp(values[i].name, condition, length) != 0)
            continue;
        if (!parse_limit(&values[i], equals + 1, ret_limit))
            return &values[i];
        wanted = kinds[values[i].kind];
    }
    if (wanted)
        fail_usage(command, "%s: --fail-on %s: '%s' is not a %s", command, condition, equals + 1, wanted);
    char names[256] = "";
    for (int i = 0; i < value_count; i++) {
        if (i && !strcmp(values[i].name, values[i - 1].name))
            continue;
        strncat(names, i ? ", " : "", sizeof names - strlen(names) - 1);
        strncat(names, values[i].name, sizeof names - strlen(names) - 1);
    }
    fail_usage(command, "%s: --fail-on knows %s, not '%.*s'", command, names, (int)length, condition);
}

void reading_thresholds_validate(const struct reading *reading, const struct threshold_value *values, int value_count)
{
    uint64_t limit;
    for (int i = 0; i < reading->fail_on.count; i++)
        parse(reading, reading->fail_on.texts[i], values, value_count, &limit);
}

static void write_one(struct json *json, const struct threshold_value *value, uint64_t limit, int exceeded)
{
    json_object(json, NULL);
    json_text(json, "name", value->name);
    if (value->kind == THRESHOLD_SHARE) {
        json_real(json, "limit", (double)limit / THRESHOLD_SHARE_UNIT);
        json_real(json, "value", (double)value->value / THRESHOLD_SHARE_UNIT);
    } else if (value->kind == THRESHOLD_PERCENT) {
        json_real(json, "limit_percent", (double)limit / THRESHOLD_PERCENT_UNIT);
        json_real(json, "value_percent", (double)value->value / THRESHOLD_PERCENT_UNIT);
    } else {
        json_integer(json, "limit", (int64_t)limit);
        json_integer(json, "value", value->value);
    }
    json_boolean(json, "exceeded", exceeded);
    json_object_end(json);
}

int reading_thresholds(const struct reading *reading, const struct threshold_value *values, int value_count, struct json *json)
{
    int status = CLI_DONE;
    if (json && reading->fail_on.count)
        json_array(json, "thresholds");
    for (int i = 0; i < reading->fail_on.count; i++) {
        uint64_t limit;
        const struct threshold_value *value = parse(reading, reading->fail_on.texts[i], values, value_count, &limit);
        int exceeded = value->value > 0 && ((uint64_t)value->value > limit || (value->kind == THRESHOLD_SHARE && (uint64_t)value->value == limit));
        if (json)
            write_one(json, value, limit, exceeded);
        if (!exceeded)
            continue;
        status = CLI_EXCEEDED;
        if (value->kind == THRESHOLD_SHARE)
            warn("%s is %.2f, not below %.2f", value->name, (double)value->value / THRESHOLD_SHARE_UNIT, (double)limit / THRESHOLD_SHARE_UNIT);
        else if (value->kind == THRESHOLD_PERCENT)
            warn("%s is %.4g %%, more than %.4g %%", value->name, (double)value->value / THRESHOLD_PERCENT_UNIT, (double)limit / THRESHOLD_PERCENT_UNIT);
        else if (value->kind != THRESHOLD_COUNT_OF)
            warn("%s is %s, more than %s", value->name, units_bytes(value->value).text, units_bytes((int64_t)limit).text);
        else
            warn("%s is %lld, more than %llu", value->name, (long long)value->value, (unsigned long long)limit);
    }
    if (json && reading->fail_on.count)
        json_array_end(json);
    return status;
}
