// What objects.c and object_store.c share.
#pragma once

#include "cluster/core/objects.h"

extern const struct guid ROOT_ID;

// The buffer's content becomes a copy of the bytes.
void object_set_bytes(struct buffer *buffer, struct slice bytes);

// Makes a tablet known by its id.
void tree_add_tablet(struct tree *tree, struct tablet *tablet);

// An object that has no table yet gets one, without schema and tablets.
struct table *object_begin_table(struct object *object);

// Puts an object with a name below another one.
void object_add_child(struct object *parent, struct object *child);
