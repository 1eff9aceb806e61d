/* See tags_python.h. Structures by their layout in CPython 3.8 to 3.15: descrobject.h, methodobject.h; the names are those of the C API. */
#include "tags_python.h"

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#include "compiler.h"
#include "python_api.h"
#include "real.h"
#include "recorder.h"
#include "stack_table.h"
#include "tags.h"

#define METHOD_FASTCALL 0x80
#define METHOD_KEYWORDS 0x02
#define DESCRIPTOR_METHOD 40 /* PyMethodDescrObject.d_method */

/* PyMethodDef */
struct method {
    const char *name;
    void *function;
    int flags;
    const char *text;
};

typedef void *fast_function(void *self, void *const *arguments, ssize_t count);
typedef void *keyword_function(void *self, void *const *arguments, ssize_t count, void *names);

static struct {
    long (*PyLong_AsLong)(void *);
    void *(*PyLong_FromLong)(long);
    const char *(*PyUnicode_AsUTF8AndSize)(void *, ssize_t *);
    void *(*PyTuple_New)(ssize_t);
    int (*PyTuple_SetItem)(void *, ssize_t, void *);
    void *(*PyTuple_GetItem)(void *, ssize_t);
    void *(*PyCFunction_NewEx)(struct method *, void *, void *);
    void *(*PyObject_GetAttrString)(void *, const char *);
    void *(*PyErr_Occurred)(void);
    void (*PyErr_Clear)(void);
    void (*PyErr_SetString)(void *, const char *);
    void (*Py_IncRef)(void *);
    void (*Py_DecRef)(void *);
    void *_Py_NoneStruct;
    void *PyContext_Type;
    void **PyExc_TypeError;
} python;

static const struct {
    const char *name;
    size_t place;
} wanted[] = {
#define WANTED(name) {#name, offsetof(__typeof__(python), name)}
    WANTED(PyLong_AsLong), WANTED(PyLong_FromLong), WANTED(PyUnicode_AsUTF8AndSize), WANTED(PyTuple_New), WANTED(PyTuple_SetItem),
    WANTED(PyTuple_GetItem), WANTED(PyCFunction_NewEx), WANTED(PyObject_GetAttrString), WANTED(PyErr_Occurred), WANTED(PyErr_Clear),
    WANTED(PyErr_SetString), WANTED(Py_IncRef), WANTED(Py_DecRef), WANTED(_Py_NoneStruct), WANTED(PyContext_Type), WANTED(PyExc_TypeError),
#undef WANTED
};

static int find_names(void)
{
    for (size_t i = 0; i < ARRAY_LENGTH(wanted); i++) {
        void *address = real.dlsym(RTLD_DEFAULT, wanted[i].name);
        if (!address)
            return 0;
        *(void **)((char *)&python + wanted[i].place) = address; /* no memcpy: that would count as the program's */
    }
    return 1;
}

static void *none(void)
{
    python.Py_IncRef(python._Py_NoneStruct);
    return python._Py_NoneStruct;
}

/* ---- functions of the package ---- */

static int is_node(void *number, uint32_t *ret_node)
{
    long value = python.PyLong_AsLong(number);
    if (value < 0 || value > UINT32_MAX) {
        if (!python.PyErr_Occurred())
            python.PyErr_SetString(*python.PyExc_TypeError, "not a tag");
        return 0;
    }
    *ret_node = (uint32_t)value;
    return 1;
}

static void *find_tag(void *self, void *const *arguments, ssize_t count)
{
    ssize_t bytes = 0;
    uint32_t outer;
    const char *name = count == 2 ? python.PyUnicode_AsUTF8AndSize(arguments[1], &bytes) : NULL;
    if (!name) {
        if (!python.PyErr_Occurred())
            python.PyErr_SetString(*python.PyExc_TypeError, "find(outer, name)");
        return NULL;
    }
    if (!is_node(arguments[0], &outer))
        return NULL;
    return python.PyLong_FromLong((long)tags_find(outer, name, bytes < UINT32_MAX ? (uint32_t)bytes : UINT32_MAX));
}

static void *get_tag(void *self, void *const *arguments, ssize_t count)
{
    return python.PyLong_FromLong((long)stack_root);
}

static void *set_tag(void *self, void *const *arguments, ssize_t count)
{
    uint32_t node;
    if (count != 1) {
        python.PyErr_SetString(*python.PyExc_TypeError, "set(node)");
        return NULL;
    }
    if (!is_node(arguments[0], &node))
        return NULL;
    tags_set(node);
    return none();
}

static struct method functions[] = {
    {"find", (void *)find_tag, METHOD_FASTCALL, NULL},
    {"get", (void *)get_tag, METHOD_FASTCALL, NULL},
    {"set", (void *)set_tag, METHOD_FASTCALL, NULL},
};

/* ---- contexts ---- */

static void *tag_variable;
static fast_function *context_get;
static keyword_function *context_run_below;

static uint32_t tag_of_context(void *context)
{
    void *arguments[] = {tag_variable, python._Py_NoneStruct};
    uint32_t node = 0;
    void *value = context_get(context, arguments, 2), *first = NULL;
    if (value && value != python._Py_NoneStruct)
        first = python.PyTuple_GetItem(value, 0);
    if (first && !is_node(first, &node))
        node = 0;
    if (value)
        python.Py_DecRef(value);
    if (!value || (!first && value != python._Py_NoneStruct))
        python.PyErr_Clear();
    return node;
}

static void *context_run(void *context, void *const *arguments, ssize_t count, void *names)
{
    uint32_t outer = stack_root;
    tags_set(tag_of_context(context));
    void *result = context_run_below(context, arguments, count, names);
    tags_set(outer);
    return result;
}

/* The definition of a method of Context, if it is what we know; NULL: it isn't. */
static struct method *method_of_context(const char *name, int flags)
{
    void *descriptor = python.PyObject_GetAttrString(python.PyContext_Type, name);
    if (!descriptor) {
        python.PyErr_Clear();
        return NULL;
    }
    struct method *method = *(struct method **)((char *)descriptor + DESCRIPTOR_METHOD);
    python.Py_DecRef(descriptor); /* its type holds it */
    return method && method->flags == flags && !strcmp(method->name, name) ? method : NULL;
}

/* Asks the kernel to write: an interpreter whose methods are read-only keeps them, and tags don't follow its contexts. */
static int replace_function(struct method *method, void *function)
{
    struct iovec from = {&function, sizeof function}, to = {&method->function, sizeof method->function};
    return syscall(SYS_process_vm_writev, syscall(SYS_getpid), &from, 1, &to, 1, 0) == (long)sizeof function;
}

static void follow_contexts(void *variable)
{
    struct method *run = method_of_context("run", METHOD_FASTCALL | METHOD_KEYWORDS), *get = method_of_context("get", METHOD_FASTCALL);
    if (!run || !get || context_run_below)
        return;
    python.Py_IncRef(variable);
    tag_variable = variable;
    context_get = (fast_function *)get->function;
    context_run_below = (keyword_function *)run->function;
    if (!replace_function(run, (void *)context_run))
        context_run_below = NULL;
}

void *tags_python_functions(void *variable)
{
    if (!recorder_session || recorder_session->python_flags & PYTHON_FREE_THREADED || !find_names())
        return NULL;
    void *tuple = python.PyTuple_New(ARRAY_LENGTH(functions));
    for (size_t i = 0; tuple && i < ARRAY_LENGTH(functions); i++) {
        void *function = python.PyCFunction_NewEx(&functions[i], NULL, NULL);
        if (!function || python.PyTuple_SetItem(tuple, (ssize_t)i, function) != 0) {
            python.Py_DecRef(tuple);
            tuple = NULL;
        }
    }
    if (tuple)
        follow_contexts(variable);
    else
        python.PyErr_Clear();
    return tuple;
}
