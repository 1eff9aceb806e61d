/* Tags by heapline.h: on one thread, inside each other, on several threads, switched as a coroutine scheduler would, in a forked child.
 * Prints what the functions returned. */
#include <heapline/heapline.h>
#include <pthread.h>
#include <sys/wait.h>

#include "target.h"

#define SWITCHES 200

static NOINLINE void *block(size_t size)
{
    void *memory = malloc(opaque(size));
    keep(memory);
    return memory;
}

static void *on_a_thread(void *name)
{
    free(block(500)); /* no tag: a thread begins without */
    heapline_tag_push(name);
    block(1000);
    return NULL;
}

/* Two tasks take turns. */
static void switch_tasks(void)
{
    uint32_t tasks[] = {heapline_tag_find("task a"), heapline_tag_find("task b")};
    for (int i = 0; i < SWITCHES; i++) {
        heapline_tag_set(tasks[i % 2]);
        block(i % 2 ? 200 : 100);
    }
    heapline_tag_set(0);
}

static NOINLINE void recurse(int depth)
{
    uint32_t outer = heapline_tag_push("recursion");
    if (depth)
        recurse(depth - 1);
    else
        block(40000);
    heapline_tag_set(outer);
}

static void nest_deeply(void)
{
    char name[32];
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof name, "level %d", i);
        heapline_tag_push(name);
    }
    block(70000);
    heapline_tag_set(0);
}

static void many_names(void)
{
    char name[32];
    for (int i = 0; i < 2500; i++) {
        snprintf(name, sizeof name, "name %d", i);
        heapline_tag_set(heapline_tag_find(name));
        block(16);
    }
    heapline_tag_set(0);
}

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "nested";
    setvbuf(stdout, NULL, _IONBF, 0);
    if (!strcmp(how, "nested")) {
        block(10000);
        uint32_t none = heapline_tag_push("load");
        block(20000);
        uint32_t load = heapline_tag_push("parse \xc3\xa9");
        void *parsed = block(300000);
        parsed = realloc(parsed, 310000);
        heapline_tag_set(load);
        block(5000);
        keep(parsed);
        heapline_tag_set(none);
        block(50000);
        printf("%d %d %d %d\n", heapline_is_recording(), none == 0, load != 0, heapline_tag_get() == 0);
        require(heapline_tag_push(NULL) == 0);
    } else if (!strcmp(how, "threads")) {
        pthread_t threads[4];
        static char names[4][16];
        heapline_tag_push("main");
        for (int i = 0; i < 4; i++) {
            snprintf(names[i], sizeof names[i], "worker %d", i % 2);
            require(pthread_create(&threads[i], NULL, on_a_thread, names[i]) == 0);
        }
        for (int i = 0; i < 4; i++)
            pthread_join(threads[i], NULL);
        block(3000);
    } else if (!strcmp(how, "tasks")) {
        switch_tasks();
        recurse(100);
        nest_deeply();
    } else if (!strcmp(how, "many")) {
        many_names();
    } else if (!strcmp(how, "fork")) {
        heapline_tag_push("before");
        block(8000);
        pid_t child = fork();
        if (child == 0) {
            block(16000);
            heapline_tag_push("in the child");
            block(32000);
            _exit(0);
        }
        fact("child", child);
        int status;
        require(waitpid(child, &status, 0) == child && status == 0);
        block(64000);
    }
    return 0;
}
