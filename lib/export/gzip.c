/* See gzip.h. */
#include "gzip.h"

#include <zlib.h>

#define GZIP_WINDOW (15 + 16) /* the largest window, and a gzip header around it */
#define MEMORY_LEVEL 8
#define PIECE_BYTES (1u << 20)

/* All of the piece; with `flush` Z_FINISH, the end of the file too. */
static int compress_piece(z_stream *stream, int flush, struct output_buffer *out)
{
    int result;
    do {
        uint8_t *room = output_buffer_extend(out, PIECE_BYTES);
        if (!room)
            return STATUS_NO_MEMORY;
        stream->next_out = room;
        stream->avail_out = PIECE_BYTES;
        result = deflate(stream, flush);
        out->count -= stream->avail_out;
    } while (stream->avail_out == 0 || (flush == Z_FINISH && result == Z_OK));
    return STATUS_OK;
}

int gzip_compress(const void *bytes, size_t count, struct output_buffer *out)
{
    z_stream stream = {0};
    int status = STATUS_OK;
    if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK)
        return STATUS_NO_MEMORY;
    stream.next_in = (Bytef *)bytes;
    do {
        size_t piece = count < PIECE_BYTES ? count : PIECE_BYTES;
        stream.avail_in = (uInt)piece;
        count -= piece;
        status = compress_piece(&stream, count ? Z_NO_FLUSH : Z_FINISH, out);
    } while (count && !status);
    deflateEnd(&stream);
    return status;
}
