/* Linked with --hash-style=sysv for test_elf_symbols.c. */
int sysv_hash_function(void);

__attribute__((visibility("default"))) int sysv_hash_variable = 7;
static int sysv_hash_static = 0;

__attribute__((visibility("default"))) int sysv_hash_function(void)
{
    return sysv_hash_variable + sysv_hash_static;
}
