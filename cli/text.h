/* Text from recorded programs, made fit for a terminal and for JSON: UTF-8 checked, control characters disarmed, widths in columns. */
#ifndef HEAPLINE_CLI_TEXT_H
#define HEAPLINE_CLI_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Decode one character of a NUL-terminated string. Returns its length in bytes (1 to 4), or 0 where it isn't UTF-8 (overlong forms,
 * surrogates and numbers past U+10FFFF included); then one byte is to be skipped. */
int text_decode(const char *text, uint32_t *ret_character);

/* A copy (malloc) in which control characters and invalid bytes are '?', and without `unicode` everything past ASCII too. */
char *text_clean(const char *text, int unicode);

/* Columns that cleaned text takes. */
int text_width(const char *text);

enum text_clip { TEXT_CLIP_END, TEXT_CLIP_START };
/* Shorten cleaned text in place to at most `columns`, marking the cut with `ellipsis`. TEXT_CLIP_START keeps the end, as paths want it.
 * The string must have room for the ellipsis: text_clean leaves it. */
void text_clip(char *text, int columns, enum text_clip where, const char *ellipsis);

/* How many single-character edits apart, for "did you mean"; gives up past 63 characters with a large number. */
int text_distance(const char *a, const char *b);

/* A quoted field of a CSV row (RFC 4180); NULL is empty. */
void text_csv_field(FILE *out, const char *text);

#endif
