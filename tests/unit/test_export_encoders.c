/* lib/export: the bytes of each encoder, as the specifications give them; that they are clean under the sanitizers. What whole files mean is
 * asserted by tests/cli/test_cli_export_*.py, through the real readers. */
#include <zlib.h>

#include "check.h"
#include "gzip.h"
#include "parquet_writer.h"
#include "protobuf.h"
#include "text_index.h"
#include "thrift_compact.h"

#define CHECK_BUFFER(buffer, ...)                                                  \
    do {                                                                           \
        const uint8_t check_bytes[] = {__VA_ARGS__};                               \
        CHECK_EQUAL((buffer).count, sizeof check_bytes);                           \
        CHECK_BYTES((buffer).bytes, check_bytes, sizeof check_bytes);              \
        output_buffer_clear(&(buffer));                                            \
    } while (0)

/* Examples of https://protobuf.dev/programming-guides/encoding/ */
static void test_protobuf(void)
{
    struct output_buffer message = {0}, inner = {0};
    protobuf_integer(&message, 1, 150);
    CHECK_BUFFER(message, 0x08, 0x96, 0x01);
    protobuf_repeated_text(&message, 2, "testing");
    CHECK_BUFFER(message, 0x12, 0x07, 't', 'e', 's', 't', 'i', 'n', 'g');
    protobuf_integer(&inner, 1, 150);
    protobuf_message(&message, 3, &inner);
    CHECK_BUFFER(message, 0x1a, 0x03, 0x08, 0x96, 0x01);
    protobuf_integers(&message, 6, (const int64_t[]){3, 270, 86942}, 3);
    CHECK_BUFFER(message, 0x32, 0x06, 0x03, 0x8e, 0x02, 0x9e, 0xa7, 0x05);
    protobuf_integer(&message, 1, -2);
    CHECK_BUFFER(message, 0x08, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01);
    protobuf_integer(&message, 1, 0);
    protobuf_integers(&message, 6, NULL, 0);
    CHECK_EQUAL(message.count, 0);
    protobuf_repeated_text(&message, 2, "");
    CHECK_BUFFER(message, 0x12, 0x00);
    output_buffer_free(&message);
    output_buffer_free(&inner);
}

static void test_thrift(void)
{
    struct output_buffer out = {0};
    struct thrift_writer writer = {.out = &out};
    thrift_i32(&writer, 1, 1);                                   /* delta 1, zigzag 2 */
    thrift_i64(&writer, 3, -1);                                  /* delta 2, zigzag 1 */
    thrift_boolean(&writer, 4, 1);
    thrift_text(&writer, 30, "ab");                              /* too far for a delta: the number itself, zigzag 60 */
    thrift_begin(&writer, 31);
    thrift_boolean(&writer, 1, 0);                               /* numbers begin anew */
    thrift_end(&writer);
    thrift_list(&writer, 32, THRIFT_I32, 2);
    thrift_element_i32(&writer, 5);
    thrift_element_i32(&writer, -5);
    thrift_list(&writer, 33, THRIFT_BINARY, 15);                 /* too many for the short form */
    thrift_end(&writer);
    CHECK_BUFFER(out, 0x15, 0x02, 0x26, 0x01, 0x11, 0x08, 0x3c, 0x02, 'a', 'b', 0x1c, 0x12, 0x00, 0x19, 0x25, 0x0a, 0x09, 0x19, 0xf8, 0x0f, 0x00);
    output_buffer_free(&out);
}

static void test_text_index(void)
{
    struct text_index index = {0};
    char text[32];
    CHECK_EQUAL(text_index_of(&index, NULL), 0);
    CHECK_EQUAL(text_index_of(&index, ""), 0);
    for (uint32_t round = 0; round < 2; round++)
        for (uint32_t i = 1; i < 10000; i++) {
            snprintf(text, sizeof text, "text %u", i);
            CHECK_EQUAL(text_index_of(&index, text), i);
        }
    CHECK_EQUAL(index.count, 10000);
    CHECK_STRING(index.texts[9999], "text 9999");
    text_index_free(&index);
    CHECK_EQUAL(text_index_of(&index, "again"), 0);
    text_index_free(&index);
}

static void check_gzip(size_t count)
{
    struct output_buffer out = {0}, again = {0};
    uint8_t *bytes = malloc(count + 1), *back = malloc(count + 1);
    uint32_t state = 1;
    CHECK(bytes && back);
    for (size_t i = 0; i < count; i++)
        bytes[i] = (uint8_t)((state = state * 1103515245 + 12345) >> (i % 3 ? 16 : 28));
    CHECK_EQUAL(gzip_compress(bytes, count, &out), STATUS_OK);
    CHECK_EQUAL(gzip_compress(bytes, count, &again), STATUS_OK);
    CHECK_EQUAL(out.count, again.count);
    CHECK_BYTES(out.bytes, again.bytes, out.count);
    z_stream stream = {.next_in = out.bytes, .avail_in = (uInt)out.count, .next_out = back, .avail_out = (uInt)count + 1};
    CHECK_EQUAL(inflateInit2(&stream, 15 + 16), Z_OK); /* gzip's header only */
    CHECK_EQUAL(inflate(&stream, Z_FINISH), Z_STREAM_END);
    CHECK_EQUAL(stream.total_out, count);
    CHECK_BYTES(back, bytes, count);
    inflateEnd(&stream);
    output_buffer_free(&out);
    output_buffer_free(&again);
    free(bytes);
    free(back);
}

/* The frame of a file, and that groups of rows are written as they come. */
static void test_parquet(void)
{
    static const struct parquet_column columns[] = {{"number", PARQUET_INTEGER, 0}, {"text", PARQUET_TEXT, 1}};
    static const struct parquet_column list_columns[] = {{"item", PARQUET_TEXT, 0}};
    static const struct parquet_schema schema = {columns, 2, "items", list_columns, 1};
    struct output_buffer out = {0};
    struct parquet_writer *writer = parquet_writer_new(&schema);
    uint32_t footer_bytes;
    CHECK(writer);
    int flushes = 0;
    for (int64_t row = 0; row < 300000; row++) {
        parquet_writer_integer(writer, 0, row);
        parquet_writer_text(writer, 1, row % 3 ? "some" : NULL);
        for (int64_t item = 0; item < row % 8; item++) {
            parquet_writer_text(writer, 2, item % 2 ? "odd" : "even");
            parquet_writer_element_end(writer);
        }
        parquet_writer_row_end(writer);
        if (parquet_writer_is_full(writer)) {
            CHECK_EQUAL(parquet_writer_flush(writer, &out), STATUS_OK);
            flushes++;
        }
    }
    parquet_writer_note(writer, "key", "value");
    CHECK_EQUAL(parquet_writer_finish(writer, &out, "a test"), STATUS_OK);
    CHECK_EQUAL(flushes, 1); /* of 1.09 million items and empty lists */
    CHECK(out.count > 12 && !memcmp(out.bytes, "PAR1", 4) && !memcmp(out.bytes + out.count - 4, "PAR1", 4));
    memcpy(&footer_bytes, out.bytes + out.count - 8, sizeof footer_bytes);
    CHECK(footer_bytes < out.count - 12);
    CHECK_EQUAL(out.bytes[out.count - 8 - footer_bytes], 0x15); /* the first field: an i32, the version */
    CHECK_EQUAL(out.bytes[out.count - 9], 0);                   /* the end of the outermost struct */
    output_buffer_free(&out);
    parquet_writer_free(writer);
    parquet_writer_free(NULL);
}

int main(void)
{
    test_protobuf();
    test_thrift();
    test_text_index();
    for (size_t count = 0; count < 5; count++)
        check_gzip(count);
    check_gzip(1 << 20);
    check_gzip((3 << 20) + 1);
    test_parquet();
    return 0;
}
