/* Started like a collector, by a target whose collector was killed: writes into that one's trace how much is missing. A part of collector.h. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "collector.h"
#include "epilogue.h"
#include "futex.h"
#include "status.h"
#include "trace_epilogue.h"

#define STEP_MS 5
/* A process that dies gives its locks up soon. */
#define LOCK_WAIT_MS 2000

static int wait_for_lock(int file)
{
    for (unsigned waited = 0; waited < LOCK_WAIT_MS; waited += STEP_MS) {
        if (flock(file, LOCK_EX | LOCK_NB) == 0)
            return 1;
        nanosleep(&(struct timespec){.tv_nsec = STEP_MS * 1000000L}, NULL);
    }
    return 0;
}

int collector_write_epilogue(int memfd)
{
    struct epilogue *epilogue = mmap(NULL, sizeof *epilogue, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
    if (epilogue == MAP_FAILED || epilogue->magic != EPILOGUE_MAGIC)
        return STATUS_INVALID;
    char path[SESSION_PATH_BYTES];
    snprintf(path, sizeof path, "%.*s", (int)sizeof path - 1, epilogue->trace_path);
    int file = open(path, O_RDWR | O_CLOEXEC), status = STATUS_SYSTEM;
    if (file >= 0 && wait_for_lock(file))
        status = trace_epilogue_write_of(file, epilogue->session_id, epilogue->pid,
                                         &(struct trace_epilogue){"the collector was killed", epilogue->handed_events, epilogue->lost_events});
    if (file >= 0)
        close(file);
    atomic_store(&epilogue->done, 1);
    futex_wake(&epilogue->done, 1);
    return status;
}
