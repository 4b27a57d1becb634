#include "base/utf8.h"

#include <assert.h>

uint32_t utf8_next(struct slice *text)
{
    assert(text->size > 0);
    const uint8_t *bytes = (const uint8_t *)text->data;
    uint32_t code_point = bytes[0];
    size_t size = 1;
    uint32_t least = 0; // The least code point that needs so many bytes.
    if (code_point >= 0xf0 && code_point < 0xf8) {
        size = 4;
        least = 0x10000;
        code_point &= 0x07;
    } else if (code_point >= 0xe0 && code_point < 0xf0) {
        size = 3;
        least = 0x800;
        code_point &= 0x0f;
    } else if (code_point >= 0xc0 && code_point < 0xe0) {
        size = 2;
        least = 0x80;
        code_point &= 0x1f;
    } else if (code_point >= 0x80) {
        return UTF8_INVALID;
    }
    if (text->size < size) return UTF8_INVALID;
    for (size_t i = 1; i < size; i++) {
        if ((bytes[i] & 0xc0) != 0x80) return UTF8_INVALID;
        code_point = code_point << 6 | (bytes[i] & 0x3f);
    }
    bool is_surrogate = code_point >= 0xd800 && code_point < 0xe000;
    if (code_point < least || code_point > 0x10ffff || is_surrogate) return UTF8_INVALID;
    *text = slice_from(text->data + size, text->size - size);
    return code_point;
}

bool utf8_is_valid(struct slice text)
{
    while (text.size > 0) {
        if (utf8_next(&text) == UTF8_INVALID) return false;
    }
    return true;
}

size_t utf8_encode(uint32_t code_point, char *bytes)
{
    assert(code_point <= 0x10ffff);
    if (code_point < 0x80) {
        bytes[0] = (char)code_point;
        return 1;
    }
    size_t size = code_point < 0x800 ? 2 : code_point < 0x10000 ? 3 : 4;
    for (size_t i = size; i-- > 1; code_point >>= 6) bytes[i] = (char)(0x80 | (code_point & 0x3f));
    static const uint8_t LEADS[] = {0, 0, 0xc0, 0xe0, 0xf0};
    bytes[0] = (char)(LEADS[size] | code_point);
    return size;
}
