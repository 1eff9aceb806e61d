/* Frames whose call frame information says more than most: the CFA from a register that is neither the stack pointer nor the frame pointer, and
 * from an expression; the caller's frame pointer from an expression, as a place and as a value. x86-64.
 *
 *     cfi_expressions TIMES       allocations, each below other frames */
#include "target.h"

typedef void function(void);

void cfa_by_register(function *next);
void cfa_by_expression(function *next);
void saved_by_expression(function *next);
void value_by_expression(function *next);

__asm__(".text\n"
        /* CFA = rbx + 16 */
        ".globl cfa_by_register\n"
        ".type cfa_by_register, @function\n"
        "cfa_by_register:\n"
        ".cfi_startproc\n"
        "    push %rbx\n"
        ".cfi_def_cfa_offset 16\n"
        ".cfi_offset rbx, -16\n"
        "    mov %rsp, %rbx\n"
        ".cfi_def_cfa_register rbx\n"
        "    sub $64, %rsp\n"
        "    call *%rdi\n"
        "    mov %rbx, %rsp\n"
        ".cfi_def_cfa_register rsp\n"
        "    pop %rbx\n"
        ".cfi_def_cfa_offset 8\n"
        "    ret\n"
        ".cfi_endproc\n"
        ".size cfa_by_register, .-cfa_by_register\n"
        /* DW_CFA_def_cfa_expression: DW_OP_breg3 0, DW_OP_deref */
        ".globl cfa_by_expression\n"
        ".type cfa_by_expression, @function\n"
        "cfa_by_expression:\n"
        ".cfi_startproc\n"
        "    push %rbx\n"
        ".cfi_def_cfa_offset 16\n"
        ".cfi_offset rbx, -16\n"
        "    lea 16(%rsp), %rax\n"
        "    sub $32, %rsp\n"
        ".cfi_def_cfa_offset 48\n"
        "    mov %rax, (%rsp)\n"
        "    mov %rsp, %rbx\n"
        ".cfi_escape 0x0f, 3, 0x73, 0, 0x06\n"
        "    call *%rdi\n"
        "    add $32, %rsp\n"
        ".cfi_def_cfa rsp, 16\n"
        "    pop %rbx\n"
        ".cfi_def_cfa_offset 8\n"
        "    ret\n"
        ".cfi_endproc\n"
        ".size cfa_by_expression, .-cfa_by_expression\n"
        /* DW_CFA_expression of rbp: DW_OP_breg12 8; rbp itself is of no use */
        ".globl saved_by_expression\n"
        ".type saved_by_expression, @function\n"
        "saved_by_expression:\n"
        ".cfi_startproc\n"
        "    push %r12\n"
        ".cfi_def_cfa_offset 16\n"
        ".cfi_offset r12, -16\n"
        "    sub $32, %rsp\n"
        ".cfi_def_cfa_offset 48\n"
        "    mov %rsp, %r12\n"
        "    mov %rbp, 8(%r12)\n"
        ".cfi_escape 0x10, 6, 2, 0x7c, 8\n"
        "    mov $1, %ebp\n"
        "    call *%rdi\n"
        "    mov 8(%r12), %rbp\n"
        ".cfi_same_value rbp\n"
        "    add $32, %rsp\n"
        ".cfi_def_cfa_offset 16\n"
        "    pop %r12\n"
        ".cfi_def_cfa_offset 8\n"
        "    ret\n"
        ".cfi_endproc\n"
        ".size saved_by_expression, .-saved_by_expression\n"
        /* DW_CFA_val_expression of rbp: DW_OP_breg13 0 */
        ".globl value_by_expression\n"
        ".type value_by_expression, @function\n"
        "value_by_expression:\n"
        ".cfi_startproc\n"
        "    push %r13\n"
        ".cfi_def_cfa_offset 16\n"
        ".cfi_offset r13, -16\n"
        "    mov %rbp, %r13\n"
        ".cfi_escape 0x16, 6, 2, 0x7d, 0\n"
        "    mov $1, %ebp\n"
        "    call *%rdi\n"
        "    mov %r13, %rbp\n"
        ".cfi_same_value rbp\n"
        "    pop %r13\n"
        ".cfi_def_cfa_offset 8\n"
        "    ret\n"
        ".cfi_endproc\n"
        ".size value_by_expression, .-value_by_expression\n");

static NOINLINE void inner(void)
{
    char *block = malloc(40);
    keep(block);
}

static NOINLINE void third(void)
{
    value_by_expression(inner);
}

static NOINLINE void second(void)
{
    saved_by_expression(third);
}

static NOINLINE void first(void)
{
    cfa_by_expression(second);
}

/* Plain frames further out, so many that the walk has something to go on with. */
static NOINLINE void outer(int depth)
{
    if (depth > 0)
        outer(depth - 1);
    else
        cfa_by_register(first);
    keep(&depth);
}

int main(int argc, char **argv)
{
    require(argc == 2);
    for (long times = atol(argv[1]); times > 0; times--)
        outer((int)(times % 3));
    return 0;
}
