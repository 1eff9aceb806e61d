/* Numbers to text and back: see units.h. Pure functions. */
#include "units.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Three significant digits for what is below 1000, four digits up to 1023. */
static void format_significant(char *out, size_t size, double value, const char *unit)
{
    int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
    snprintf(out, size, "%.*f%s", decimals, value, unit);
}

static struct unit_text format_scaled(int64_t number, double base, double limit, const char *const *units, int unit_count)
{
    struct unit_text result;
    char *out = result.text;
    size_t size = sizeof result.text;
    double value = (double)number;
    if (value < 0) {
        *out++ = '-';
        size--;
        value = -value;
    }
    int unit = 0;
    while (value >= limit && unit + 1 < unit_count) {
        value /= base;
        unit++;
    }
    if (unit == 0)
        snprintf(out, size, "%.0f%s", value, units[0]);
    else
        format_significant(out, size, value, units[unit]);
    return result;
}

struct unit_text units_bytes(int64_t bytes)
{
    static const char *const units[] = {" B", " KiB", " MiB", " GiB", " TiB", " PiB", " EiB"};
    return format_scaled(bytes, 1024, 1023.5, units, 7);
}

struct unit_text units_bytes_short(int64_t bytes)
{
    static const char letters[] = "KMGTPE";
    struct unit_text result;
    double value = (double)bytes;
    int unit = -1;
    while (value >= 1023.5 && unit < 5) {
        value /= 1024;
        unit++;
    }
    if (unit < 0)
        snprintf(result.text, sizeof result.text, "%lld", (long long)bytes);
    else
        snprintf(result.text, sizeof result.text, "%.*f%c", value < 9.95 ? 1 : 0, value, letters[unit]);
    return result;
}

struct unit_text units_count(int64_t count)
{
    static const char *const units[] = {"", "k", "M", "G", "T"};
    return format_scaled(count, 1000, 999.5, units, 5);
}

struct unit_text units_noun(int64_t count, const char *noun)
{
    struct unit_text result;
    size_t length = strlen(noun);
    const char *ending = "s";
    if (count == 1)
        ending = "";
    else if (length && noun[length - 1] == 'y') {
        ending = "ies";
        length--;
    }
    int used = snprintf(result.text, sizeof result.text, "%s ", count ? units_count(count).text : "no");
    if ((size_t)used + length + strlen(ending) < sizeof result.text) {
        memcpy(result.text + used, noun, length);
        strcpy(result.text + used + length, ending);
    }
    return result;
}

struct unit_text units_time(int64_t time_ns)
{
    struct unit_text result;
    double value = (double)time_ns;
    if (time_ns < 1000)
        snprintf(result.text, sizeof result.text, "%lld ns", (long long)time_ns);
    else if (value < 999.5e3)
        format_significant(result.text, sizeof result.text, value / 1e3, " us");
    else if (value < 999.5e6)
        format_significant(result.text, sizeof result.text, value / 1e6, " ms");
    else if (value < 119.95e9)
        format_significant(result.text, sizeof result.text, value / 1e9, " s");
    else if (value < 7200e9)
        snprintf(result.text, sizeof result.text, "%d min %d s", (int)(value / 60e9), (int)(fmod(value, 60e9) / 1e9));
    else
        snprintf(result.text, sizeof result.text, "%d h %d min", (int)(value / 3600e9), (int)(fmod(value, 3600e9) / 60e9));
    return result;
}

struct unit_text units_share(double part, double whole)
{
    struct unit_text result;
    double percent = whole > 0 ? 100 * part / whole : 0;
    if (part <= 0 || whole <= 0)
        snprintf(result.text, sizeof result.text, "0 %%");
    else if (percent < 0.1)
        snprintf(result.text, sizeof result.text, "<0.1 %%");
    else
        snprintf(result.text, sizeof result.text, "%.*f %%", percent < 9.95 ? 1 : 0, percent);
    return result;
}

/* The factor a suffix stands for, 0 for none that we know. */
static double suffix_factor(const char *suffix)
{
    static const char letters[] = "kmgt";
    if (*suffix == '\0' || !strcasecmp(suffix, "B"))
        return 1;
    const char *letter = strchr(letters, tolower((unsigned char)*suffix));
    if (!letter)
        return 0;
    int power = (int)(letter - letters) + 1;
    if (suffix[1] == '\0' || !strcasecmp(suffix + 1, "iB"))
        return pow(1024, power);
    if (!strcasecmp(suffix + 1, "B"))
        return pow(1000, power);
    return 0;
}

int units_parse_bytes(const char *text, uint64_t *ret_bytes)
{
    char *end;
    if (!isdigit((unsigned char)*text) || (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')))
        return -1;
    double number = strtod(text, &end);
    while (*end == ' ')
        end++;
    double factor = suffix_factor(end);
    if (factor == 0 || number * factor >= 9.2e18)
        return -1;
    *ret_bytes = (uint64_t)(number * factor + 0.5);
    return 0;
}

int units_parse_count(const char *text, int64_t *ret_count)
{
    char *end;
    if (!isdigit((unsigned char)*text))
        return -1;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (errno || *end)
        return -1;
    *ret_count = number;
    return 0;
}
