#include "model/guid.h"

#include <inttypes.h>
#include <stdio.h>

const char *object_type_name(enum object_type type)
{
    switch (type) {
#define X(name, text, number) \
    case OBJECT_##name: return #text;
        OBJECT_TYPES(X)
#undef X
    }
    return NULL;
}

bool object_type_parse(struct slice name, enum object_type *ret_type)
{
#define X(upper, text, number)           \
    if (slice_equal_text(name, #text)) { \
        *ret_type = OBJECT_##upper;      \
        return true;                     \
    }
    OBJECT_TYPES(X)
#undef X
    return false;
}

// The finalizer of splitmix64: every bit of the input changes about half of the output.
static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

struct guid guid_make(uint64_t counter, uint16_t cell_tag, enum object_type type, uint32_t salt)
{
    uint64_t part = (uint64_t)cell_tag << 16 | (uint64_t)type;
    uint64_t hash = mix(mix(counter) ^ (part << 32 | salt));
    return (struct guid){.high = counter, .low = part << 32 | (uint32_t)hash};
}

const char *guid_print(struct guid id, char *text)
{
    snprintf(
        text,
        GUID_TEXT_MAX,
        "%" PRIx32 "-%" PRIx32 "-%" PRIx32 "-%" PRIx32,
        (uint32_t)(id.high >> 32),
        (uint32_t)id.high,
        (uint32_t)(id.low >> 32),
        (uint32_t)id.low);
    return text;
}

// Takes 1 to 8 hexadecimal digits off `text`.
static bool take_group(struct slice *text, uint64_t *ret_group)
{
    uint64_t group = 0;
    size_t size = 0;
    for (; size < text->size && size <= 8; size++) {
        char c = text->data[size];
        if (c >= '0' && c <= '9') {
            group = group << 4 | (uint64_t)(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            group = group << 4 | (uint64_t)(c - 'a' + 10);
        } else if (c >= 'A' && c <= 'F') {
            group = group << 4 | (uint64_t)(c - 'A' + 10);
        } else {
            break;
        }
    }
    if (size == 0 || size > 8) return false;
    *text = slice_from(text->data + size, text->size - size);
    *ret_group = group;
    return true;
}

static bool parse_groups(struct slice text, uint64_t groups[4])
{
    for (int i = 0; i < 4; i++) {
        if (i > 0) {
            if (text.size == 0 || text.data[0] != '-') return false;
            text = slice_from(text.data + 1, text.size - 1);
        }
        if (!take_group(&text, &groups[i])) return false;
    }
    return text.size == 0;
}

struct error *guid_parse(struct slice text, struct guid *ret_id)
{
    uint64_t groups[4] = {0};
    if (!parse_groups(text, groups)) {
        struct slice shown = slice_from(text.data, MIN(text.size, (size_t)2 * GUID_TEXT_MAX));
        return error_new(ERROR_GENERIC, "Error parsing GUID \"%.*s\"", SLICE(shown));
    }
    *ret_id = (struct guid){
        .high = groups[0] << 32 | groups[1],
        .low = groups[2] << 32 | groups[3],
    };
    return NULL;
}
