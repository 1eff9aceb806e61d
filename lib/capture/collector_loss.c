/* See collector_loss.h. */
#include "collector_loss.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "epilogue.h"
#include "futex.h"
#include "recorder.h"
#include "ring.h"
#include "session_start.h"
#include "thread_registry.h"

#define WAIT_STEP_NS (100 * 1000000ull)
#define WAIT_STEPS 20

/* ---- how much ---- */

static uint64_t count_lost(void)
{
    const struct session_thread *shared = session_threads(recorder_session);
    uint32_t used = atomic_load(&recorder_session->thread_slots_used);
    uint64_t lost = atomic_load(&recorder_session->lost_events);
    for (uint32_t i = 0; i < used && i < SESSION_MAX_THREADS; i++)
        lost += atomic_load_explicit(&shared[i].lost_events, memory_order_relaxed);
    for (const struct thread_state *thread = thread_registry_first(); thread; thread = thread->next)
        if (thread->shared)
            lost += ring_backlog_events(thread);
    return lost;
}

static void describe(struct epilogue *epilogue)
{
    const struct session_header *session = recorder_session;
    epilogue->magic = EPILOGUE_MAGIC;
    epilogue->session_id = session->session_id;
    epilogue->pid = session->pid;
    epilogue->handed_events = atomic_load(&session->handed_events);
    epilogue->lost_events = count_lost();
    /* Not by memcpy, which is ours and would count this. */
    for (size_t i = 0; i < sizeof epilogue->trace_path; i++)
        epilogue->trace_path[i] = session->trace_path[i];
}

/* ---- to whom ---- */

static struct epilogue *map_epilogue(int *ret_memfd)
{
    int memfd = session_memory_create(sizeof(struct epilogue));
    if (memfd < 0)
        return NULL;
    long address = syscall(SYS_mmap, NULL, sizeof(struct epilogue), PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
    if (address == -1) {
        syscall(SYS_close, memfd);
        return NULL;
    }
    *ret_memfd = memfd;
    return (struct epilogue *)address;
}

void collector_loss_write(int wait)
{
    static _Atomic uint32_t is_writing;
    int saved_errno = errno, memfd = -1;
    if (!*recorder_session->trace_path || atomic_exchange(&is_writing, 1))
        return;
    struct epilogue *epilogue = map_epilogue(&memfd);
    if (epilogue) {
        describe(epilogue);
        int started = collector_start_again(memfd, recorder_session);
        syscall(SYS_close, memfd);
        for (int step = 0; started && wait && step < WAIT_STEPS && !atomic_load(&epilogue->done); step++)
            futex_wait(&epilogue->done, 0, WAIT_STEP_NS);
        syscall(SYS_munmap, epilogue, sizeof *epilogue);
    }
    atomic_store(&is_writing, 0);
    errno = saved_errno;
}

void collector_loss_at_end(void)
{
    int saved_errno = errno;
    if (collector_died(recorder_session)) {
        recorder_stop();
        collector_loss_write(1);
    }
    errno = saved_errno;
}
