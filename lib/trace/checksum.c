/* CRC-32C, reflected polynomial 0x82f63b78: SSE4.2's or ARMv8's instruction, else a table of 16 entries (half a byte a step:
 * some 300 MB/s, which is enough for compressed payloads on machines that old). Any thread; never allocates. */
#include "checksum.h"

#include <string.h>

#include "compiler.h"

uint32_t checksum_crc32c_portable(const void *bytes, size_t count)
{
    static const uint32_t of_nibble[16] = {
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
        0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
    };
    const uint8_t *next = bytes;
    uint32_t crc = ~0u;
    for (size_t i = 0; i < count; i++) {
        crc ^= next[i];
        crc = crc >> 4 ^ of_nibble[crc & 15];
        crc = crc >> 4 ^ of_nibble[crc & 15];
    }
    return ~crc;
}

#if defined(__x86_64__)

__attribute__((target("sse4.2"))) static uint32_t crc32c_by_instruction(const uint8_t *next, size_t count)
{
    uint64_t crc = ~0u;
    for (; count >= 8; count -= 8, next += 8) {
        uint64_t word;
        memcpy(&word, next, sizeof(word));
        crc = __builtin_ia32_crc32di(crc, word);
    }
    for (; count; count--, next++)
        crc = __builtin_ia32_crc32qi((uint32_t)crc, *next);
    return ~(uint32_t)crc;
}

static int has_instruction(void)
{
    return __builtin_cpu_supports("sse4.2");
}

#elif defined(__aarch64__) && defined(__linux__)

#include <arm_acle.h>
#include <sys/auxv.h>

__attribute__((target("+crc"))) static uint32_t crc32c_by_instruction(const uint8_t *next, size_t count)
{
    uint32_t crc = ~0u;
    for (; count >= 8; count -= 8, next += 8) {
        uint64_t word;
        memcpy(&word, next, sizeof(word));
        crc = __crc32cd(crc, word);
    }
    for (; count; count--, next++)
        crc = __crc32cb(crc, *next);
    return ~crc;
}

static int has_instruction(void)
{
    return (getauxval(AT_HWCAP) & (1ul << 7)) != 0; /* HWCAP_CRC32 */
}

#else

static uint32_t crc32c_by_instruction(const uint8_t *next, size_t count)
{
    return checksum_crc32c_portable(next, count);
}

static int has_instruction(void)
{
    return 0;
}

#endif

uint32_t checksum_crc32c(const void *bytes, size_t count)
{
    return has_instruction() ? crc32c_by_instruction(bytes, count) : checksum_crc32c_portable(bytes, count);
}
