// Containers, from libraries, made to abort when memory runs out.
//
// uthash: maps and sets, intrusive, iterated in insertion order. utlist: lists. stb_ds: growing
// arrays, of which only the arr* macros are used.
#pragma once

#include <stdlib.h>

#define uthash_fatal(message) abort()
#include <uthash.h>
#include <utlist.h>

#define STBDS_NO_SHORT_NAMES
#include <stb/stb_ds.h>

#define arr_add(array, item)      stbds_arrput(array, item)
#define arr_count(array)          stbds_arrlenu(array)
#define arr_free(array)           stbds_arrfree(array)
#define arr_clear(array)          stbds_arrsetlen(array, 0)
#define arr_remove(array, i)      stbds_arrdel(array, i)
#define arr_remove_swap(array, i) stbds_arrdelswap(array, i)
#define arr_insert(array, i, x)   stbds_arrins(array, i, x)
#define arr_last(array)           stbds_arrlast(array)
#define arr_pop(array)            stbds_arrpop(array)
