/* A C program to look into: an index of the words of a text file.
 *
 *     cc -g -o word_index examples/word_index.c
 *     build/cli/heapline run -o words.heapline ./word_index /usr/share/common-licenses/GPL-3
 *     build/cli/heapline lines words.heapline
 *
 * What the report shows
 *   - At the high-water mark the file's text and the index of it are both there. The text's buffer is the largest single block:
 *     doubling it made it up to twice as large as the file.
 *   - Every occurrence of a word costs a copy of it in `index_add`, which is freed again at once where the word is known already: the
 *     column of temporary allocations counts them. Looking up before copying would save nearly all.
 *   - Nothing of ours is live at the end; what is, the C library keeps. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct word {
    struct word *next;
    char *text;
    unsigned *positions;
    size_t count, room;
};

#define BUCKETS 4096
static struct word *buckets[BUCKETS];

static void *checked(void *pointer)
{
    if (!pointer) {
        perror("word_index");
        exit(1);
    }
    return pointer;
}

static char *read_file(const char *path, size_t *length)
{
    FILE *file = checked(fopen(path, "r"));
    size_t room = 256, used = 0, got;
    char *text = checked(malloc(room));
    while ((got = fread(text + used, 1, room - used, file)) > 0) {
        used += got;
        if (used == room)
            text = checked(realloc(text, room *= 2));
    }
    fclose(file);
    *length = used;
    return text;
}

static unsigned hash(const char *text)
{
    unsigned value = 5381;
    while (*text)
        value = value * 33 + (unsigned char)*text++;
    return value % BUCKETS;
}

static void index_add(const char *start, size_t length, unsigned position)
{
    char *text = checked(malloc(length + 1));
    memcpy(text, start, length);
    text[length] = 0;
    struct word **bucket = &buckets[hash(text)], *word = *bucket;
    while (word && strcmp(word->text, text) != 0)
        word = word->next;
    if (word) {
        free(text);
    } else {
        word = checked(calloc(1, sizeof *word));
        word->text = text;
        word->next = *bucket;
        *bucket = word;
    }
    if (word->count == word->room) {
        word->room = word->room ? word->room * 2 : 4;
        word->positions = checked(realloc(word->positions, word->room * sizeof *word->positions));
    }
    word->positions[word->count++] = position;
}

static size_t index_free(void)
{
    size_t words = 0;
    for (unsigned i = 0; i < BUCKETS; i++) {
        while (buckets[i]) {
            struct word *word = buckets[i];
            buckets[i] = word->next;
            free(word->positions);
            free(word->text);
            free(word);
            words++;
        }
    }
    return words;
}

int main(int argc, char **argv)
{
    size_t length, occurrences = 0;
    char *text = read_file(argc > 1 ? argv[1] : "/usr/share/common-licenses/GPL-3", &length);
    for (size_t i = 0; i < length;) {
        size_t start = i;
        while (i < length && isalpha((unsigned char)text[i]))
            i++;
        if (i > start) {
            index_add(text + start, i - start, (unsigned)start);
            occurrences++;
        } else {
            i++;
        }
    }
    free(text);
    size_t words = index_free();
    printf("%zu words, %zu different ones\n", occurrences, words);
    return 0;
}
