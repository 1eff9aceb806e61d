/* Native addresses to modules: which executable or shared library holds an address, defined once each.
 *
 * Asks the dynamic linker's lock-free _dl_find_object (glibc 2.35); never takes a loader lock. Where it is missing every address is in
 * module 0, "unknown". A module that is closed and loaded again elsewhere, or another one that comes to lie at its address, gets a new id.
 * Any thread, with busy set; keeps errno. */
#ifndef HEAPLINE_CAPTURE_MODULE_TABLE_H
#define HEAPLINE_CAPTURE_MODULE_TABLE_H

#include <stdatomic.h>
#include <stdint.h>

#include "compiler.h"

/* Raised by every change of the set of modules. What was concluded from an address is valid within one epoch only. Starts at 1. */
INTERNAL _Atomic uint32_t module_table_epoch;

/* Id of the module that gives greenlets their stacks, as soon as it has one; none has UINT32_MAX. What lies further out on the stack than a
 * greenlet's first frame is another greenlet's, or was. */
INTERNAL _Atomic uint32_t module_table_greenlet;

/* To be called after a dlclose: an address may belong to another module from now on. */
void module_table_changed(void);

/* To be called when the loader is about to map another library: some may have gone without a dlclose that we saw, as libc closes its own
 * (character sets, name services) by itself. Takes the definition lock. */
void module_table_check(void);

/* Id of the module that holds the address; 0: none, or it can't be defined. Takes the definition lock. */
uint32_t module_table_find(uint64_t address);

/* Does the path of the module that holds the address contain `part`? Also 1 where that can't be known. No lock. */
int module_table_may_be(uint64_t address, const char *part);

#endif
