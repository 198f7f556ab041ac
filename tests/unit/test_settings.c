/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Settings by a table: where values come from, what is refused. */

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/settings.h"

static const VmafxSetting table[] = {
    { "VMAFX_TEST_NAME", "name", "NAME", VMAFX_SETTING_TEXT, NULL, 0, 0, false, "a name" },
    { "VMAFX_TEST_SLOTS", "slots", "N", VMAFX_SETTING_INT, "4", 1, 256, false, "slots" },
    { "VMAFX_TEST_TERM", "term", "TIME", VMAFX_SETTING_DURATION, "30s", 1000, 3600000, false, "a term" },
    { "VMAFX_TEST_ROOM", "room", "SIZE", VMAFX_SETTING_BYTES, "1GiB", 0, 0, false, "room" },
    { "VMAFX_TEST_OPEN", "open", NULL, VMAFX_SETTING_BOOL, NULL, 0, 0, false, "open to all" },
    { "VMAFX_TEST_TOKEN", NULL, NULL, VMAFX_SETTING_TEXT, NULL, 0, 0, true, "a secret" },
};
static const VmafxProgramInfo program = { "vmafx-test", "1", "tries settings", NULL, table, VMAFX_LEN(table) };

static int read_args(VmafxSettings **ret, int argc, ...)
{
    char *argv[16] = { (char *)"vmafx-test" };
    va_list args;

    va_start(args, argc);
    for (int i = 0; i < argc; i++)
        argv[i + 1] = va_arg(args, char *);
    va_end(args);
    return vmafx_settings_read(&program, argc + 1, argv, ret);
}

static void flags_win_over_the_environment_and_that_over_defaults(void **state)
{
    VMAFX_AUTO(vmafx_settings_free) VmafxSettings *settings = NULL;

    setenv("VMAFX_TEST_SLOTS", "8", 1);
    setenv("VMAFX_TEST_NAME", "from-outside", 1);
    assert_int_equal(read_args(&settings, 3, "--name=inside", "--open", "--term=5m"), -1);
    assert_string_equal(vmafx_settings_text(settings, "VMAFX_TEST_NAME"), "inside");
    assert_int_equal(vmafx_settings_int(settings, "VMAFX_TEST_SLOTS"), 8);
    assert_int_equal(vmafx_settings_int(settings, "VMAFX_TEST_TERM"), 300000);
    assert_int_equal(vmafx_settings_int(settings, "VMAFX_TEST_ROOM"), 1 << 30);
    assert_true(vmafx_settings_bool(settings, "VMAFX_TEST_OPEN"));
    assert_null(vmafx_settings_text(settings, "VMAFX_TEST_TOKEN"));
    unsetenv("VMAFX_TEST_SLOTS");
    unsetenv("VMAFX_TEST_NAME");
}

static void a_wrong_argument_ends_with_2(void **state)
{
    static const struct {
        const char *why, *argument;
    } bad[] = {
        { "unknown", "--nme=x" },
        { "a prefix is not enough", "--nam=x" },
        { "no option at all", "name" },
        { "value is missing", "--name" },
        { "not a number", "--slots=many" },
        { "below its range", "--slots=0" },
        { "above its range", "--slots=257" },
        { "a number with something behind it", "--slots=4x" },
        { "a blank before it", "--slots= 4" },
        { "not a duration", "--term=soon" },
        { "unknown unit", "--term=3w" },
        { "beyond 64 bits", "--room=99999999999TiB" },
        { "negative size", "--room=-1" },
        { "neither true nor false", "--open=perhaps" },
    };

    for (size_t i = 0; i < VMAFX_LEN(bad); i++) {
        VmafxSettings *settings = NULL;
        if (read_args(&settings, 1, bad[i].argument) != 2)
            fail_msg("%s: %s", bad[i].why, bad[i].argument);
        assert_null(settings);
    }
}

static void help_version_and_settings_end_with_0(void **state)
{
    VmafxSettings *settings = NULL;

    assert_int_equal(read_args(&settings, 1, "--help"), 0);
    assert_int_equal(read_args(&settings, 1, "--version"), 0);
    assert_int_equal(read_args(&settings, 2, "--print-config", "--slots=2"), 0);
    assert_null(settings);
}

static void units_of_time_and_size_are_understood(void **state)
{
    static const struct {
        VmafxSettingKind kind;
        const char *text;
        int64_t value;
    } good[] = {
        { VMAFX_SETTING_DURATION, "500ms", 500 },  { VMAFX_SETTING_DURATION, "30", 30000 },
        { VMAFX_SETTING_DURATION, "2h", 7200000 }, { VMAFX_SETTING_DURATION, "7d", 604800000 },
        { VMAFX_SETTING_BYTES, "100", 100 },       { VMAFX_SETTING_BYTES, "2M", 2 << 20 },
        { VMAFX_SETTING_BYTES, "3KiB", 3072 },     { VMAFX_SETTING_BYTES, "1TiB", INT64_C(1) << 40 },
        { VMAFX_SETTING_BOOL, "Yes", 1 },          { VMAFX_SETTING_BOOL, "off", 0 },
    };

    for (size_t i = 0; i < VMAFX_LEN(good); i++) {
        VmafxSetting setting = { .kind = good[i].kind };
        int64_t value;
        assert_int_equal(vmafx_setting_parse(&setting, good[i].text, &value, NULL), VMAFX_OK);
        assert_int_equal(value, good[i].value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags_win_over_the_environment_and_that_over_defaults),
        cmocka_unit_test(a_wrong_argument_ends_with_2),
        cmocka_unit_test(help_version_and_settings_end_with_0),
        cmocka_unit_test(units_of_time_and_size_are_understood),
    };

    setenv("VMAFX_CONFIG", "/dev/null", 1); /* no file of this machine */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
