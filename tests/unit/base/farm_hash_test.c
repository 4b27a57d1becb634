// The values are those that YTsaurus's own test has for its FarmFingerprint.
#include "base/farm_hash.h"
#include "tests/test.h"

TestSuite(farm_hash, .fini = abort_on_leaks);

Test(farm_hash, of_numbers_and_bytes_never_changes)
{
    cr_assert(eq(u64, farm_fingerprint_number(12345678), UINT64_C(18329046069279503950)));
    cr_assert(eq(u64, farm_fingerprint_number(42), UINT64_C(17355217915646310598)));
    cr_assert(eq(u64, farm_fingerprint_number(1), UINT64_C(10105606910506535461)));
    cr_assert(eq(u64, farm_fingerprint_number(0), 0));
    cr_assert(eq(u64, farm_fingerprint_bytes(SLICE_OF("0")), UINT64_C(15198969275252572735)));
    cr_assert(eq(u64, farm_fingerprint_bytes(SLICE_OF("abc")), UINT64_C(2640714258260161385)));
    struct slice nothing = {0};
    cr_assert(eq(u64, farm_fingerprint_bytes(nothing), UINT64_C(11160318154034397263)));
}
