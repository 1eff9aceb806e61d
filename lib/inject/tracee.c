/* See tracee.h. ptrace(2), signal(7) "Interruption of system calls and library functions by stop signals". */
#include "tracee.h"

#if defined(__x86_64__)

#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define EXTENDED_CAPACITY (64u << 10) /* AVX-512 and AMX: 11 KB */
#define STOP_LIMIT_MS 300
#define SYSCALL_LIMIT_MS 3000
#define STEP_NS 50000
#define SYSCALL_BYTES 2               /* 0f 05 */
#define DIRECTION_FLAG 0x400ull
/* Faults of the code that runs: blocked, the kernel would give them back their default action. */
#define KERNEL_SIGNAL(number) (1ull << ((number) - 1))
#define FAULTS (KERNEL_SIGNAL(SIGSEGV) | KERNEL_SIGNAL(SIGBUS) | KERNEL_SIGNAL(SIGILL) | KERNEL_SIGNAL(SIGFPE) | KERNEL_SIGNAL(SIGTRAP))

struct tracee {
    pid_t pid, tid;
    struct user_regs_struct registers; /* as they were */
    uint8_t *extended;                 /* XSAVE area, as it was */
    size_t extended_bytes;
    uint64_t mask;
    uint64_t instruction;
    int is_used;                       /* its registers have been others */
    int is_gone;
};

/* ---- waiting ---- */

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* The next stop of the thread. Returns TRACEE_DONE, TRACEE_GONE or TRACEE_BUSY: none came in time. */
static int await_stop(struct tracee *tracee, unsigned limit_ms, int *ret_status)
{
    uint64_t deadline = now_ms() + limit_ms;
    for (;;) {
        pid_t got = waitpid(tracee->tid, ret_status, __WALL | WNOHANG);
        if ((got < 0 && errno != EINTR) || (got > 0 && !WIFSTOPPED(*ret_status))) {
            tracee->is_gone = 1;
            return TRACEE_GONE;
        }
        if (got > 0)
            return TRACEE_DONE;
        if (now_ms() >= deadline)
            return TRACEE_BUSY;
        nanosleep(&(struct timespec){0, STEP_NS}, NULL);
    }
}

static int is_interrupt_stop(int status)
{
    return status >> 16 == PTRACE_EVENT_STOP && WSTOPSIG(status) == SIGTRAP;
}

static int is_group_stop(int status)
{
    return status >> 16 == PTRACE_EVENT_STOP && WSTOPSIG(status) != SIGTRAP;
}

static int is_syscall_stop(int status)
{
    return WSTOPSIG(status) == (SIGTRAP | 0x80);
}

/* An interrupt was asked for. Signals that come before it are passed on. */
static int await_interrupt(struct tracee *tracee, unsigned limit_ms)
{
    for (;;) {
        int status, result = await_stop(tracee, limit_ms, &status);
        if (result)
            return result;
        if (is_interrupt_stop(status))
            return TRACEE_DONE;
        if (is_group_stop(status))
            return TRACEE_BUSY;
        ptrace(PTRACE_CONT, tracee->tid, NULL, is_syscall_stop(status) ? 0 : (void *)(uintptr_t)WSTOPSIG(status));
    }
}

/* ---- registers ---- */

static int read_state(struct tracee *tracee)
{
    struct iovec all = {&tracee->registers, sizeof tracee->registers}, extended = {tracee->extended, EXTENDED_CAPACITY};
    if (ptrace(PTRACE_GETREGSET, tracee->tid, NT_PRSTATUS, &all) || all.iov_len != sizeof tracee->registers ||
        ptrace(PTRACE_GETREGSET, tracee->tid, NT_X86_XSTATE, &extended) ||
        ptrace(PTRACE_GETSIGMASK, tracee->tid, sizeof tracee->mask, &tracee->mask))
        return TRACEE_SYSTEM;
    tracee->extended_bytes = extended.iov_len;
    return TRACEE_DONE;
}

static int set_registers(struct tracee *tracee, const struct user_regs_struct *registers)
{
    struct iovec all = {(void *)registers, sizeof *registers};
    return ptrace(PTRACE_SETREGSET, tracee->tid, NT_PRSTATUS, &all) ? TRACEE_SYSTEM : TRACEE_DONE;
}

static int get_registers(struct tracee *tracee, struct user_regs_struct *registers)
{
    struct iovec all = {registers, sizeof *registers};
    return ptrace(PTRACE_GETREGSET, tracee->tid, NT_PRSTATUS, &all) ? TRACEE_SYSTEM : TRACEE_DONE;
}

static void set_mask(struct tracee *tracee, uint64_t mask)
{
    ptrace(PTRACE_SETSIGMASK, tracee->tid, sizeof mask, &mask);
}

/* ---- stop and release ---- */

int tracee_stop(pid_t pid, pid_t tid, struct tracee **ret_tracee)
{
    struct tracee *tracee = calloc(1, sizeof *tracee);
    if (!tracee || !(tracee->extended = malloc(EXTENDED_CAPACITY))) {
        free(tracee);
        return TRACEE_SYSTEM;
    }
    tracee->pid = pid;
    tracee->tid = tid;
    int result = TRACEE_DENIED;
    if (ptrace(PTRACE_SEIZE, tid, NULL, PTRACE_O_TRACESYSGOOD) == 0) {
        ptrace(PTRACE_INTERRUPT, tid, NULL, NULL);
        result = await_interrupt(tracee, STOP_LIMIT_MS);
        if (result == TRACEE_DONE)
            result = read_state(tracee);
        if (result == TRACEE_DONE) {
            *ret_tracee = tracee;
            return TRACEE_DONE;
        }
        /* In a stop that we may not use. One that doesn't stop is let go when this process ends. */
        ptrace(PTRACE_DETACH, tid, NULL, NULL);
    } else if (errno == ESRCH) {
        result = TRACEE_GONE;
    }
    int saved_errno = errno;
    free(tracee->extended);
    free(tracee);
    errno = saved_errno;
    return result;
}

/* Those that report an interruption by a stop as if it were a signal's, and may be begun again. */
static int may_begin_again(uint64_t number)
{
    static const int calls[] = {SYS_epoll_wait, SYS_epoll_pwait, 441 /* epoll_pwait2 */, SYS_semop, SYS_semtimedop, SYS_rt_sigtimedwait,
                                SYS_io_getevents, SYS_recvfrom, SYS_recvmsg, SYS_recvmmsg, SYS_accept, SYS_accept4, SYS_sendto, SYS_sendmsg,
                                SYS_read, SYS_readv, SYS_write, SYS_writev, SYS_msgrcv, SYS_msgsnd, SYS_futex, SYS_poll,
                                426 /* io_uring_enter */};
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (number == (uint64_t)calls[i])
            return 1;
    return 0;
}

/* A signal that has come in truth: then the interruption is its. */
static int has_pending_signal(const struct tracee *tracee)
{
    char path[64], line[256];
    uint64_t pending = 0, value;
    snprintf(path, sizeof path, "/proc/%d/task/%d/status", (int)tracee->pid, (int)tracee->tid);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "SigPnd: %" SCNx64, &value) == 1 || sscanf(line, "ShdPnd: %" SCNx64, &value) == 1)
            pending |= value;
    if (file)
        fclose(file);
    return (pending & ~tracee->mask) != 0;
}

static void begin_again(struct tracee *tracee)
{
    struct user_regs_struct *registers = &tracee->registers;
    if ((int64_t)registers->orig_rax >= 0 && (int64_t)registers->rax == -EINTR && may_begin_again(registers->orig_rax) &&
        !has_pending_signal(tracee)) {
        registers->rax = registers->orig_rax;
        registers->rip -= SYSCALL_BYTES;
        tracee->is_used = 1;
    }
}

/* Into a stop at which the kernel, on the way out, looks at the system call that the registers speak of. */
static int return_to_interrupt(struct tracee *tracee)
{
    ptrace(PTRACE_INTERRUPT, tracee->tid, NULL, NULL);
    ptrace(PTRACE_CONT, tracee->tid, NULL, NULL);
    return await_interrupt(tracee, SYSCALL_LIMIT_MS);
}

void tracee_release(struct tracee *tracee)
{
    int was_used = tracee->is_used;
    if (!tracee->is_gone && was_used)
        return_to_interrupt(tracee);
    begin_again(tracee);
    if (!tracee->is_gone && tracee->is_used) {
        struct iovec extended = {tracee->extended, tracee->extended_bytes};
        if (was_used) {
            ptrace(PTRACE_SETREGSET, tracee->tid, NT_X86_XSTATE, &extended);
            set_mask(tracee, tracee->mask);
        }
        set_registers(tracee, &tracee->registers);
    }
    ptrace(PTRACE_DETACH, tracee->tid, NULL, NULL);
    free(tracee->extended);
    free(tracee);
}

uint64_t tracee_instruction(const struct tracee *tracee)
{
    return tracee->registers.rip;
}

long tracee_syscall(const struct tracee *tracee)
{
    int64_t result = (int64_t)tracee->registers.rax;
    /* ERESTARTSYS to ERESTART_RESTARTBLOCK, which user space never sees, and EINTR: it was waiting. */
    int waiting = result == -EINTR || (result <= -512 && result >= -516);
    return (int64_t)tracee->registers.orig_rax >= 0 && waiting ? (long)tracee->registers.orig_rax : -1;
}

/* linux/ptrace.h of Linux 5.13 */
#define GET_RSEQ_CONFIGURATION 0x420f
struct rseq_configuration {
    uint64_t pointer;
    uint32_t bytes, signature, flags, padding;
};
#define RSEQ_CURRENT_OFFSET 8 /* struct rseq.rseq_cs */

int tracee_in_sequence(const struct tracee *tracee, int memory_file)
{
    struct rseq_configuration configuration = {0};
    uint64_t current = 0;
    if (ptrace(GET_RSEQ_CONFIGURATION, tracee->tid, sizeof configuration, &configuration) < 0 || !configuration.pointer)
        return 0;
    return pread(memory_file, &current, sizeof current, (off_t)(configuration.pointer + RSEQ_CURRENT_OFFSET)) == sizeof current && current;
}

/* ---- calls ---- */

void tracee_use_instruction(struct tracee *tracee, uint64_t address)
{
    tracee->instruction = address;
}

/* From here on the thread runs what we say: no signal's handler must. */
static struct user_regs_struct begin_use(struct tracee *tracee)
{
    struct user_regs_struct registers = tracee->registers;
    if (!tracee->is_used)
        set_mask(tracee, ~FAULTS);
    tracee->is_used = 1;
    registers.orig_rax = (uint64_t)-1;
    registers.eflags &= ~DIRECTION_FLAG;
    return registers;
}

/* Let it run to its next entry into or return from a system call. */
static int run_to_syscall(struct tracee *tracee, unsigned limit_ms)
{
    int status, result;
    if (ptrace(PTRACE_SYSCALL, tracee->tid, NULL, NULL))
        return TRACEE_SYSTEM;
    for (;;) {
        result = await_stop(tracee, limit_ms, &status);
        if (result)
            return result;
        if (is_syscall_stop(status))
            return TRACEE_DONE;
        if (status >> 16 == 0)
            return TRACEE_SIGNALLED;
        /* The whole process was told to stop or to continue: that has to wait. */
        ptrace(PTRACE_SYSCALL, tracee->tid, NULL, NULL);
    }
}

int tracee_do_syscall(struct tracee *tracee, long number, const uint64_t arguments[6], int64_t *ret_result)
{
    struct user_regs_struct registers = begin_use(tracee);
    registers.rip = tracee->instruction;
    registers.rax = (uint64_t)number;
    registers.rdi = arguments[0];
    registers.rsi = arguments[1];
    registers.rdx = arguments[2];
    registers.r10 = arguments[3];
    registers.r8 = arguments[4];
    registers.r9 = arguments[5];
    int result = set_registers(tracee, &registers);
    for (int half = 0; half < 2 && !result; half++)
        result = run_to_syscall(tracee, SYSCALL_LIMIT_MS);
    if (!result)
        result = get_registers(tracee, &registers);
    if (!result)
        *ret_result = (int64_t)registers.rax;
    return result;
}

/* The function returns to a syscall instruction; it is known by its place and its stack, and not carried out. */
static int finish_call(struct tracee *tracee, struct user_regs_struct *registers, uint64_t *ret_result)
{
    *ret_result = registers->orig_rax;
    registers->orig_rax = (uint64_t)-1;
    int result = set_registers(tracee, registers);
    return result ? result : run_to_syscall(tracee, SYSCALL_LIMIT_MS);
}

int tracee_call(struct tracee *tracee, uint64_t function, uint64_t first, uint64_t second, uint64_t stack_end, unsigned limit_ms,
                uint64_t *ret_result)
{
    struct user_regs_struct registers = begin_use(tracee);
    uint64_t stack = (stack_end & ~15ull) - 8;
    if (ptrace(PTRACE_POKEDATA, tracee->tid, (void *)stack, (void *)tracee->instruction))
        return TRACEE_SYSTEM;
    registers.rip = function;
    registers.rdi = first;
    registers.rsi = second;
    registers.rax = 0;
    registers.rbp = 0;
    registers.rsp = stack;
    int result = set_registers(tracee, &registers);
    for (;;) {
        if (!result)
            result = run_to_syscall(tracee, limit_ms);
        if (!result)
            result = get_registers(tracee, &registers);
        if (result)
            return result;
        if (registers.rip == tracee->instruction + SYSCALL_BYTES && registers.rsp == stack + 8)
            return finish_call(tracee, &registers, ret_result);
    }
}

#else

#include <errno.h>

int tracee_stop(pid_t pid, pid_t tid, struct tracee **ret_tracee)
{
    errno = ENOSYS;
    return TRACEE_SYSTEM;
}

void tracee_release(struct tracee *tracee)
{
}

uint64_t tracee_instruction(const struct tracee *tracee)
{
    return 0;
}

long tracee_syscall(const struct tracee *tracee)
{
    return -1;
}

int tracee_in_sequence(const struct tracee *tracee, int memory_file)
{
    return 0;
}

void tracee_use_instruction(struct tracee *tracee, uint64_t address)
{
}

int tracee_do_syscall(struct tracee *tracee, long number, const uint64_t arguments[6], int64_t *ret_result)
{
    return TRACEE_SYSTEM;
}

int tracee_call(struct tracee *tracee, uint64_t function, uint64_t first, uint64_t second, uint64_t stack_end, unsigned limit_ms,
                uint64_t *ret_result)
{
    return TRACEE_SYSTEM;
}

#endif
