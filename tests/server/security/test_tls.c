/* test_tls.c - certificates and keys: which pairs are taken, and when a new one is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <gnutls/abstract.h>
#include <gnutls/x509.h>

#include "pinsage/file.h"
#include "server/security/tls_pair.h"
#include "tests/support/scratch.h"

#define DAY 86400

static ps_tls *tls;
static ps_tls_opts opts;
static ps_why why;
static char cert_path[PS_PATH_MAX], key_path[PS_PATH_MAX];

/* ------------------------------ Certificates ------------------------------- */

static void good(int rc)
{
    if (rc < 0)
        print_message("%s\n", gnutls_strerror(rc));
    assert_true(rc >= 0);
}

static gnutls_x509_privkey_t make_key(void)
{
    gnutls_x509_privkey_t key;
    good(gnutls_x509_privkey_init(&key));
    good(gnutls_x509_privkey_generate(
        key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0));
    return key;
}

/* Of `key`, vouched for by `by`; days from now. */
static gnutls_x509_crt_t make_cert(const char *name, gnutls_x509_privkey_t key, long from,
                                   long to, gnutls_x509_crt_t issuer,
                                   gnutls_x509_privkey_t by)
{
    gnutls_x509_crt_t crt;
    time_t now = time(NULL);
    good(gnutls_x509_crt_init(&crt));
    good(gnutls_x509_crt_set_version(crt, 3));
    good(gnutls_x509_crt_set_serial(crt, name, 3));
    good(gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, name,
                                       (unsigned)strlen(name)));
    good(gnutls_x509_crt_set_key(crt, key));
    good(gnutls_x509_crt_set_activation_time(crt, now + from * DAY));
    good(gnutls_x509_crt_set_expiration_time(crt, now + to * DAY));
    good(gnutls_x509_crt_set_basic_constraints(crt, strcmp(name, "leaf") != 0, -1));
    good(gnutls_x509_crt_sign2(crt, issuer ? issuer : crt, by, GNUTLS_DIG_SHA256, 0));
    return crt;
}

static void append_cert(const char *path, const char *how, gnutls_x509_crt_t crt)
{
    gnutls_datum_t pem;
    good(gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &pem));
    FILE *f = fopen(path, how);
    assert_non_null(f);
    assert_int_equal(fwrite(pem.data, 1, pem.size, f), pem.size);
    fclose(f);
    gnutls_free(pem.data);
}

static void write_key(const char *path, gnutls_x509_privkey_t key, const char *password)
{
    unsigned char pem[4096];
    size_t size = sizeof pem;
    good(gnutls_x509_privkey_export_pkcs8(
        key, GNUTLS_X509_FMT_PEM, password,
        password ? GNUTLS_PKCS_PBES2_AES_256 : GNUTLS_PKCS_PLAIN, pem, &size));
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(pem, 1, size, f), size);
    fclose(f);
}

/* A pair of files, signed by itself. */
static void write_pair(const char *name, long from, long to)
{
    gnutls_x509_privkey_t key = make_key();
    gnutls_x509_crt_t crt = make_cert(name, key, from, to, NULL, key);
    append_cert(cert_path, "wb", crt);
    write_key(key_path, key, NULL);
    gnutls_x509_crt_deinit(crt);
    gnutls_x509_privkey_deinit(key);
}

static int open_tls(void)
{
    ps_tls_close(tls);
    tls = NULL;
    why = (ps_why){0};
    opts.cert = cert_path;
    opts.key = key_path;
    if (!opts.priorities)
        opts.priorities = PS_TLS_PRIORITIES;
    return ps_tls_open(&tls, &opts, NULL, &why);
}

static void refused(int err, const char *where, const char *words)
{
    int is = open_tls();
    if (is != err || !strstr(why.text, words))
        print_message("%d %s: %s\n", is, why.where, why.text);
    assert_int_equal(is, err);
    assert_string_equal(why.where, where);
    assert_non_null(strstr(why.text, words));
}

/* Common name of the pair in use. */
static const char *in_use(void)
{
    static char name[64];
    size_t size = sizeof name;
    gnutls_x509_crt_t crt;
    ps_tls_pair *p = ps_tls_hold(tls);
    good(gnutls_pcert_export_x509(&p->cert[0], &crt));
    good(gnutls_x509_crt_get_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, 0, name,
                                       &size));
    gnutls_x509_crt_deinit(crt);
    ps_tls_release(p);
    return name;
}

/* ------------------------------ Which are taken ---------------------------- */

static void a_pair_that_belongs_together_is_taken(void **state)
{
    (void)state;
    write_pair("one", -1, 30);
    assert_int_equal(open_tls(), PS_OK);
    assert_string_equal(in_use(), "one");
    assert_in_range(ps_tls_until(tls) - time(NULL), 29 * DAY, 31 * DAY);
}

static void what_is_no_pair_is_refused_in_words(void **state)
{
    (void)state;
    write_pair("old", -30, -1);
    refused(PS_EFORMAT, cert_path, "ended on");
    write_pair("new", 1, 30);
    refused(PS_EFORMAT, cert_path, "begins on");

    write_pair("one", -1, 30);
    gnutls_x509_privkey_t other = make_key();
    write_key(key_path, other, NULL);
    refused(PS_EMISMATCH, key_path, "is not the key of");
    write_key(key_path, other, "secret");
    refused(PS_EUNSUPPORTED, key_path, "password");
    gnutls_x509_privkey_deinit(other);

    scratch_text("key.pem", "no key");
    refused(PS_EFORMAT, key_path, "no private key");
    scratch_text("cert.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n");
    refused(PS_EFORMAT, cert_path, "PEM");
    scratch_text("cert.pem", "");
    refused(PS_EFORMAT, cert_path, "PEM");
    unlink(key_path);
    refused(PS_ENOENT, key_path, "open");
}

static void one_without_the_other_is_refused(void **state)
{
    (void)state;
    ps_tls_opts half = {.cert = cert_path, .priorities = PS_TLS_PRIORITIES};
    ps_tls *none = NULL;
    assert_int_equal(ps_tls_open(&none, &half, NULL, &why), PS_EINVAL);
    assert_non_null(strstr(why.text, "together"));
}

static void priorities_are_checked_and_never_below_1_2(void **state)
{
    (void)state;
    write_pair("one", -1, 30);
    opts.priorities = "NORMAL:+VERS-ALL";
    assert_int_equal(open_tls(), PS_OK);
    gnutls_priority_t made;
    const unsigned *list;
    good(gnutls_priority_init(&made, ps_tls_priorities(tls), NULL));
    int n = gnutls_priority_protocol_list(made, &list);
    assert_int_equal(n, 2);
    for (int i = 0; i < n; i++)
        assert_true(list[i] == GNUTLS_TLS1_2 || list[i] == GNUTLS_TLS1_3);
    gnutls_priority_deinit(made);

    opts.priorities = "NORMAL:+NO-SUCH-CIPHER";
    refused(PS_EINVAL, "tls-priorities", "NO-SUCH-CIPHER");
    opts.priorities = NULL;
}

static void a_chain_is_put_in_order(void **state)
{
    (void)state;
    gnutls_x509_privkey_t root_key = make_key(), middle_key = make_key(),
                          key = make_key();
    gnutls_x509_crt_t root = make_cert("root", root_key, -1, 30, NULL, root_key);
    gnutls_x509_crt_t middle = make_cert("middle", middle_key, -1, 30, root, root_key);
    gnutls_x509_crt_t leaf = make_cert("leaf", key, -1, 30, middle, middle_key);
    append_cert(cert_path, "wb", leaf);
    append_cert(cert_path, "ab", root);
    append_cert(cert_path, "ab", middle);
    write_key(key_path, key, NULL);
    assert_int_equal(open_tls(), PS_OK);
    assert_string_equal(in_use(), "leaf");
    ps_tls_pair *p = ps_tls_hold(tls);
    assert_int_equal(p->n, 3);
    gnutls_x509_crt_t second;
    good(gnutls_pcert_export_x509(&p->cert[1], &second));
    assert_true(gnutls_x509_crt_equals(second, middle));
    ps_tls_release(p);
    gnutls_x509_crt_deinit(second);
    gnutls_x509_crt_deinit(root);
    gnutls_x509_crt_deinit(middle);
    gnutls_x509_crt_deinit(leaf);
    gnutls_x509_privkey_deinit(root_key);
    gnutls_x509_privkey_deinit(middle_key);
    gnutls_x509_privkey_deinit(key);
}

/* ------------------------------ Reading anew ------------------------------- */

static void a_new_pair_is_taken_once_it_rests(void **state)
{
    (void)state;
    write_pair("one", -1, 30);
    assert_int_equal(open_tls(), PS_OK);
    ps_tls_pair *held = ps_tls_hold(tls);
    usleep(10000);
    write_pair("two", -1, 30);
    ps_tls_refresh(tls, false);
    assert_string_equal(in_use(), "one");
    ps_tls_refresh(tls, false);
    assert_string_equal(in_use(), "two");
    /* Who holds the old pair goes on with it. */
    unsigned char id[64];
    size_t size = sizeof id;
    good(gnutls_pubkey_get_key_id(held->cert[0].pubkey, 0, id, &size));
    ps_tls_release(held);

    usleep(10000);
    write_pair("six", -1, 30);
    ps_tls_refresh(tls, true);
    assert_string_equal(in_use(), "six");
}

static void half_a_change_waits_for_the_other_half(void **state)
{
    (void)state;
    write_pair("one", -1, 30);
    assert_int_equal(open_tls(), PS_OK);
    gnutls_x509_privkey_t key = make_key();
    gnutls_x509_crt_t crt = make_cert("two", key, -1, 30, NULL, key);
    usleep(10000);
    append_cert(cert_path, "wb", crt);
    for (int i = 0; i < 3; i++)
        ps_tls_refresh(tls, i == 2);
    assert_string_equal(in_use(), "one");
    write_key(key_path, key, NULL);
    for (int i = 0; i < 2; i++)
        ps_tls_refresh(tls, false);
    assert_string_equal(in_use(), "two");
    unlink(cert_path);
    for (int i = 0; i < 3; i++)
        ps_tls_refresh(tls, false);
    assert_string_equal(in_use(), "two");
    gnutls_x509_crt_deinit(crt);
    gnutls_x509_privkey_deinit(key);
}

int main(void)
{
    snprintf(cert_path, sizeof cert_path, "%s", scratch("cert.pem"));
    snprintf(key_path, sizeof key_path, "%s", scratch("key.pem"));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pair_that_belongs_together_is_taken),
        cmocka_unit_test(what_is_no_pair_is_refused_in_words),
        cmocka_unit_test(one_without_the_other_is_refused),
        cmocka_unit_test(priorities_are_checked_and_never_below_1_2),
        cmocka_unit_test(a_chain_is_put_in_order),
        cmocka_unit_test(a_new_pair_is_taken_once_it_rests),
        cmocka_unit_test(half_a_change_waits_for_the_other_half),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ps_tls_close(tls);
    return failed;
}
