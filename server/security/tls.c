/* tls.c - reads a certificate and its key, checks that they belong together, keeps them.
 *
 *      files -> pair, references counted        the store holds one, and so does
 *                                                each connection, until it closes
 *
 * The two files of a pair are rarely written at the same moment, so a change is taken
 * when they have been the same for two looks in a row.
 *
 * Threads: the lock guards which pair is current and all counts of references.
 */
#include "server/security/tls.h"

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "server/base/stamp.h"
#include "server/security/tls_pair.h"

#define FILE_BYTES ((size_t)262144)
#define DAY        86400
#define WARN_DAYS  14

struct ps_tls {
    const ps_tls_opts *opts; /* borrowed */
    ps_log *log;             /* borrowed */
    char *priorities;        /* owned */
    pthread_mutex_t lock;
    ps_tls_pair *pair; /* guarded; a reference */
    ps_stamp loaded[2], seen[2];
    int64_t warned; /* when the end of the certificate was last told, Unix seconds */
};

/* ------------------------------ A pair ------------------------------------- */

static void free_pair(ps_tls_pair *p)
{
    for (unsigned i = 0; i < p->n; i++)
        gnutls_pcert_deinit(&p->cert[i]);
    if (p->key)
        gnutls_privkey_deinit(p->key);
    free(p);
}

static int refuse(ps_why *why, const char *path, const char *what, int rc)
{
    return ps_fail(why, rc == GNUTLS_E_MEMORY_ERROR ? PS_ENOMEM : PS_EFORMAT, path, 0,
                   "%s: %s", what, gnutls_strerror(rc));
}

static gnutls_datum_t datum(const ps_slurp *s)
{
    return (gnutls_datum_t){(unsigned char *)s->text, (unsigned)s->size};
}

static void write_day(char out[24], time_t when)
{
    struct tm tm;
    gmtime_r(&when, &tm);
    strftime(out, 24, "%Y-%m-%d %H:%M UTC", &tm);
}

static int check_dates(ps_tls_pair *p, gnutls_x509_crt_t first, const char *path,
                       ps_why *why)
{
    char day[24];
    time_t now = time(NULL), from = gnutls_x509_crt_get_activation_time(first);
    p->until = gnutls_x509_crt_get_expiration_time(first);
    if (p->until == (time_t)-1 || from == (time_t)-1)
        return ps_fail(why, PS_EFORMAT, path, 0, "the certificate has no dates");
    write_day(day, now < from ? from : p->until);
    if (now < from)
        return ps_fail(why, PS_EFORMAT, path, 0, "the certificate begins on %s", day);
    if (now > p->until)
        return ps_fail(why, PS_EFORMAT, path, 0, "the certificate ended on %s", day);
    return PS_OK;
}

static int take_certs(ps_tls_pair *p, const ps_slurp *file, const char *path, ps_why *why)
{
    gnutls_datum_t text = datum(file);
    gnutls_x509_crt_t crt[PS_TLS_CHAIN];
    unsigned n = PS_TLS_CHAIN;
    int rc = gnutls_x509_crt_list_import(crt, &n, &text, GNUTLS_X509_FMT_PEM,
                                         GNUTLS_X509_CRT_LIST_IMPORT_FAIL_IF_EXCEED);
    if (rc < 0)
        return refuse(why, path, "no chain of up to 16 certificates in PEM", rc);
    int err = check_dates(p, crt[0], path, why);
    p->n = n;
    if (!err && (rc = gnutls_pcert_import_x509_list(p->cert, crt, &p->n,
                                                    GNUTLS_X509_CRT_LIST_SORT)) < 0) {
        p->n = 0;
        err = refuse(why, path, "the certificates are no chain", rc);
    } else if (err) {
        p->n = 0;
    }
    for (unsigned i = 0; i < n; i++)
        gnutls_x509_crt_deinit(crt[i]);
    return err;
}

static int take_key(ps_tls_pair *p, const ps_slurp *file, const char *path, ps_why *why)
{
    gnutls_datum_t text = datum(file);
    int rc = gnutls_privkey_init(&p->key);
    if (rc >= 0)
        rc = gnutls_privkey_import_x509_raw(p->key, &text, GNUTLS_X509_FMT_PEM, NULL, 0);
    if (rc == GNUTLS_E_DECRYPTION_FAILED)
        return ps_fail(why, PS_EUNSUPPORTED, path, 0,
                       "the key is behind a password; one without is wanted");
    return rc < 0 ? refuse(why, path, "no private key in PEM", rc) : PS_OK;
}

/* The key's public half must be the certificate's. */
static int check_match(const ps_tls_pair *p, const ps_tls_opts *o, ps_why *why)
{
    unsigned char cert[64], key[64];
    size_t n_cert = sizeof cert, n_key = sizeof key;
    gnutls_pubkey_t public;
    int rc = gnutls_pubkey_init(&public);
    if (rc < 0)
        return refuse(why, o->key, "the key", rc);
    rc = gnutls_pubkey_import_privkey(public, p->key, 0, 0);
    if (rc >= 0)
        rc = gnutls_pubkey_get_key_id(public, GNUTLS_KEYID_USE_SHA256, key, &n_key);
    if (rc >= 0)
        rc = gnutls_pubkey_get_key_id(p->cert[0].pubkey, GNUTLS_KEYID_USE_SHA256, cert,
                                      &n_cert);
    gnutls_pubkey_deinit(public);
    if (rc < 0)
        return refuse(why, o->key, "the key", rc);
    if (n_cert != n_key || memcmp(cert, key, n_key) != 0)
        return ps_fail(why, PS_EMISMATCH, o->key, 0, "is not the key of %s", o->cert);
    return PS_OK;
}

static void warn_of_mode(const ps_tls *t, const ps_slurp *key)
{
    if (key->mode & 04)
        ps_log_say(t->log, PS_LOG_WARN, "everybody on this machine may read the key",
                   "file", t->opts->key, NULL);
}

/* Reads both files; leaves their stamps in t->loaded on success. */
static int read_pair(ps_tls *t, ps_tls_pair **out, ps_why *why)
{
    ps_slurp cert = {0}, key = {0};
    ps_tls_pair *p = calloc(1, sizeof *p);
    int err = p ? ps_slurp_file(&cert, t->opts->cert, FILE_BYTES, why) : PS_ENOMEM;
    if (!err)
        err = ps_slurp_file(&key, t->opts->key, FILE_BYTES, why);
    if (!err)
        err = take_certs(p, &cert, t->opts->cert, why);
    if (!err)
        err = take_key(p, &key, t->opts->key, why);
    if (!err)
        err = check_match(p, t->opts, why);
    if (!err) {
        warn_of_mode(t, &key);
        p->owner = t;
        p->refs = 1;
        t->loaded[0] = cert.stamp;
        t->loaded[1] = key.stamp;
        *out = p;
    } else if (p) {
        free_pair(p);
    }
    ps_slurp_wipe(&cert);
    ps_slurp_wipe(&key);
    return err;
}

ps_tls_pair *ps_tls_hold(ps_tls *t)
{
    pthread_mutex_lock(&t->lock);
    ps_tls_pair *p = t->pair;
    p->refs++;
    pthread_mutex_unlock(&t->lock);
    return p;
}

void ps_tls_release(ps_tls_pair *p)
{
    if (!p)
        return;
    ps_tls *t = p->owner;
    pthread_mutex_lock(&t->lock);
    bool last = --p->refs == 0;
    pthread_mutex_unlock(&t->lock);
    if (last)
        free_pair(p);
}

/* ------------------------------ Lifetime ----------------------------------- */

static int check_priorities(ps_tls *t, ps_why *why)
{
    static const char old[] = ":-VERS-SSL3.0:-VERS-TLS1.0:-VERS-TLS1.1:-VERS-DTLS-ALL";
    const char *at = NULL;
    gnutls_priority_t made;
    size_t len = strlen(t->opts->priorities);
    t->priorities = malloc(len + sizeof old);
    if (!t->priorities)
        return PS_ENOMEM;
    snprintf(t->priorities, len + sizeof old, "%s%s", t->opts->priorities, old);
    int rc = gnutls_priority_init(&made, t->priorities, &at);
    if (rc < 0)
        return ps_fail(why, PS_EINVAL, "tls-priorities", 0,
                       "GnuTLS stumbles at \"%.40s\"", at ? at : t->priorities);
    gnutls_priority_deinit(made);
    return PS_OK;
}

int ps_tls_open(ps_tls **out, const ps_tls_opts *opts, ps_log *log, ps_why *why)
{
    if (!opts->cert || !opts->key)
        return ps_fail(why, PS_EINVAL, opts->cert ? "tls-cert" : "tls-key", 0,
                       "a certificate and its key come together");
    ps_tls *t = calloc(1, sizeof *t);
    if (!t)
        return PS_ENOMEM;
    t->opts = opts;
    t->log = log;
    pthread_mutex_init(&t->lock, NULL);
    int err = check_priorities(t, why);
    if (!err)
        err = read_pair(t, &t->pair, why);
    if (err) {
        ps_tls_close(t);
        return err;
    }
    memcpy(t->seen, t->loaded, sizeof t->seen);
    ps_tls_refresh(t, false);
    *out = t;
    return PS_OK;
}

void ps_tls_close(ps_tls *t)
{
    if (!t)
        return;
    ps_tls_release(t->pair);
    pthread_mutex_destroy(&t->lock);
    free(t->priorities);
    free(t);
}

const char *ps_tls_priorities(const ps_tls *t)
{
    return t->priorities;
}

int64_t ps_tls_until(ps_tls *t)
{
    ps_tls_pair *p = ps_tls_hold(t);
    int64_t until = p->until;
    ps_tls_release(p);
    return until;
}

/* ------------------------------ Reading anew ------------------------------- */

static void read_anew(ps_tls *t)
{
    ps_tls_pair *new, *old;
    ps_why why = {0};
    char text[600];
    int err = read_pair(t, &new, &why);
    if (err) {
        memcpy(t->loaded, t->seen, sizeof t->loaded); /* told once */
        ps_why_format(&why, err, text, sizeof text);
        ps_log_say(t->log, PS_LOG_ERROR, "the certificate stays as it was", "error", text,
                   NULL);
        return;
    }
    pthread_mutex_lock(&t->lock);
    old = t->pair;
    t->pair = new;
    pthread_mutex_unlock(&t->lock);
    ps_tls_release(old);
    t->warned = 0;
    write_day(text, new->until);
    ps_log_say(t->log, PS_LOG_INFO, "certificate read anew", "until", text, NULL);
}

static void look(ps_tls *t, ps_stamp now[2])
{
    now[0] = ps_stamp_at(t->opts->cert);
    now[1] = ps_stamp_at(t->opts->key);
}

static void warn_of_end(ps_tls *t)
{
    char day[24];
    int64_t now = time(NULL), until = ps_tls_until(t);
    if (until - now > (int64_t)WARN_DAYS * DAY || now - t->warned < DAY)
        return;
    t->warned = now;
    write_day(day, until);
    ps_log_say(t->log, now > until ? PS_LOG_ERROR : PS_LOG_WARN,
               now > until ? "the certificate has ended" : "the certificate ends soon",
               "until", day, NULL);
}

void ps_tls_refresh(ps_tls *t, bool now)
{
    ps_stamp is[2];
    look(t, is);
    bool rests = memcmp(is, t->seen, sizeof is) == 0;
    memcpy(t->seen, is, sizeof is);
    if ((rests || now) && memcmp(is, t->loaded, sizeof is) != 0)
        read_anew(t);
    warn_of_end(t);
}
