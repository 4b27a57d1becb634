// How each kind of syntax becomes a typed expression. typing.c chooses; the parts call each other
// through bind_expression, which counts depth and nodes.
#pragma once

#include "cluster/query/typed.h"

// typing.c
MUST_USE struct error *bind_expression(
    struct typer *typer, const struct syntax *syntax, struct expression **ret_expression);

// operators.c
MUST_USE struct error *bind_boolean(
    struct typer *typer, const struct syntax *syntax, struct expression **ret_expression);
MUST_USE struct error *bind_unary(
    struct typer *typer, const struct syntax *syntax, struct expression **ret_expression);
MUST_USE struct error *bind_binary(
    struct typer *typer, const struct syntax *syntax, struct expression **ret_expression);
MUST_USE struct error *bind_logical(
    struct typer *typer,
    const struct syntax *syntax,
    enum expression_kind kind,
    struct expression **ret_expression);

// comparisons.c
MUST_USE struct error *bind_compare(
    struct typer *typer,
    const struct syntax *syntax,
    enum relation relation,
    struct expression **ret_expression);
MUST_USE struct error *bind_between(
    struct typer *typer, const struct syntax *syntax, struct expression **ret_expression);
MUST_USE struct error *bind_in(
    struct typer *typer, const struct syntax *syntax, struct expression **ret_expression);
MUST_USE struct error *bind_like(
    struct typer *typer, const struct syntax *syntax, struct expression **ret_expression);

// Binds the items of a tuple, or an expression as a tuple of one.
MUST_USE struct error *bind_tuple(
    struct typer *typer,
    const struct syntax *syntax,
    struct expression ***ret_items,
    uint32_t *ret_count);

// Compares two expressions of one type.
struct expression *bind_comparison(
    struct typer *typer, enum relation relation, struct expression *left, struct expression *right);

// Reads a constant in the type of `operand`, with which it will be compared; `in` is the whole for
// messages. Literals are read without making nodes, since lists of them are long.
MUST_USE struct error *bind_constant(
    struct typer *typer,
    const struct syntax *in,
    const struct syntax *syntax,
    const struct expression *operand,
    struct value *ret_value);

// Reads a list of tuples of `size` constants, in the types of `operands`. `*ret_values` has them
// one after the other.
MUST_USE struct error *bind_constants(
    struct typer *typer,
    const struct syntax *in,
    struct syntax *const *tuples,
    uint32_t tuple_count,
    struct expression *const *operands,
    uint32_t size,
    struct value **ret_values);

// choices.c
MUST_USE struct error *bind_case(
    struct typer *typer, const struct syntax *syntax, struct expression **ret_expression);
MUST_USE struct error *bind_if(
    struct typer *typer, const struct syntax *syntax, struct expression **ret_expression);
MUST_USE struct error *bind_coalesce(
    struct typer *typer, const struct syntax *syntax, struct expression **ret_expression);
MUST_USE struct error *bind_transform(
    struct typer *typer, const struct syntax *syntax, struct expression **ret_expression);

// calls.c
MUST_USE struct error *bind_cast(
    struct typer *typer, const struct syntax *syntax, struct expression **ret_expression);
MUST_USE struct error *bind_call(
    struct typer *typer, const struct syntax *syntax, struct expression **ret_expression);
MUST_USE struct error *bind_check_argument_count(
    const struct syntax *call, uint32_t count_min, uint32_t count_max);
MUST_USE struct error *bind_fail_argument(
    const struct syntax *call, uint32_t i, const struct expression *argument, const char *expected);

// aggregates.c
// Whether a call is of an aggregate function.
bool find_aggregate(const struct syntax *call, enum aggregate_kind *ret_kind);
MUST_USE struct error *bind_aggregate(
    struct typer *typer,
    const struct syntax *syntax,
    enum aggregate_kind kind,
    struct expression **ret_expression);
