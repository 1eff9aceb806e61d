/* Allocates, at once and whenever it gets a line on its standard input, and says which library the slots lead to that this program calls malloc, free,
 * memcpy, munmap and dlsym through, and which one dlsym's malloc lies in: "ours" is the recorder's, "jump" is in none.
 * `slots fork`: in a child, which the parent waits for. `slots chroot`: in a child that finds no /proc. */
#include <dlfcn.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "target.h"

#if defined(__x86_64__)
#define CALL R_X86_64_JUMP_SLOT
#define GLOBAL R_X86_64_GLOB_DAT
#elif defined(__aarch64__)
#define CALL R_AARCH64_JUMP_SLOT
#define GLOBAL R_AARCH64_GLOB_DAT
#endif

static char from[5000], to[5000];

static const char *library_of(void *address)
{
    Dl_info found;
    if (!dladdr(address, &found) || !found.dli_fname)
        return "jump";
    if (strstr(found.dli_fname, "libheapline.so"))
        return "ours";
    return strstr(found.dli_fname, "libc.so") ? "libc" : "other";
}

/* Of the module that this is; a call's before the one that holds the address. */
static void *slot_of(const char *name)
{
    const ElfW(Rela) *relocations[2] = {NULL, NULL};
    size_t bytes[2] = {0, 0};
    const ElfW(Sym) *symbols = NULL;
    const char *strings = NULL;
    void *found = NULL;
    for (const ElfW(Dyn) *entry = _DYNAMIC; entry->d_tag; entry++)
        switch (entry->d_tag) {
        case DT_SYMTAB: symbols = (const void *)entry->d_un.d_ptr; break;
        case DT_STRTAB: strings = (const void *)entry->d_un.d_ptr; break;
        case DT_JMPREL: relocations[0] = (const void *)entry->d_un.d_ptr; break;
        case DT_PLTRELSZ: bytes[0] = entry->d_un.d_val; break;
        case DT_RELA: relocations[1] = (const void *)entry->d_un.d_ptr; break;
        case DT_RELASZ: bytes[1] = entry->d_un.d_val; break;
        }
    for (int table = 0; table < 2; table++)
        for (size_t i = 0; i < bytes[table] / sizeof(ElfW(Rela)); i++) {
            const ElfW(Rela) *relocation = &relocations[table][i];
            unsigned type = ELF64_R_TYPE(relocation->r_info);
            if ((type == CALL || type == GLOBAL) && !strcmp(strings + symbols[ELF64_R_SYM(relocation->r_info)].st_name, name) && !found)
                found = *(void **)(_r_debug.r_map->l_addr + relocation->r_offset);
        }
    return found;
}

static void *(*volatile kept_malloc)(size_t);

static NOINLINE void allocate(void)
{
    for (int i = 0; i < 10; i++)
        free(malloc(1000)); // ALLOC first/direct bytes=10000 count=10 live_count=0
    keep(malloc(300)); // ALLOC first/left bytes=300 count=1 live=300
    keep(kept_malloc(70)); // ALLOC first/pointer bytes=70 count=1 live=70
    memcpy(to, from, opaque(5000)); // ALLOC first/copy bytes=0 count=0 copied=5000 copies=1
    void *page = mmap(NULL, opaque(8192), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); // ALLOC first/mapped bytes=8192 count=1
    munmap(page, 8192);
}

static int told(void)
{
    char answer;
    return read(0, &answer, 1) == 1;
}

static void become_child(const char *how)
{
    int status;
    if (!strcmp(how, "chroot"))
        require(!chroot("/sys/kernel") && !chdir("/"));
    if (fork() == 0)
        return;
    require(wait(&status) > 0);
    exit(WEXITSTATUS(status));
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"malloc", "free", "memcpy", "munmap", "dlsym"};
    kept_malloc = (void *(*)(size_t))dlsym(RTLD_DEFAULT, "malloc");
    fact("parent", getpid());
    if (argc > 1)
        become_child(argv[1]);
    else
        fact("pid", getpid());
    do {
        char text[256];
        allocate();
        int used = 0;
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            used += snprintf(text + used, sizeof text - (size_t)used, "%s=%s ", names[i], library_of(slot_of(names[i])));
        used += snprintf(text + used, sizeof text - (size_t)used, "pointer=%s pid=%d\n", library_of((void *)(uintptr_t)kept_malloc), getpid());
        require(write(1, text, (size_t)used) == used);
    } while (told());
    return 0;
}
