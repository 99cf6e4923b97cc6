/* metadata.c - what an SVG file of Open Clip Art says about itself.
 *
 * The RDF block is the same in every file:
 *
 *     metadata > rdf:RDF > cc:Work > dc:title
 *                                    dc:description
 *                                    dc:subject > rdf:Bag > rdf:li      keywords
 *                                    dc:creator > cc:Agent > dc:title   authors
 *
 * Elements are matched by local name, since old drawing programs bound the prefixes to
 * several addresses. Of several cc:Work the first counts. The upload scripts of the time
 * left "HASH(0x86ab)" where they had lost a value; those are no keywords. A file with a
 * mistake in its XML is read as far as it makes sense: one lacks a digit of its version.
 *
 * Threads: metadata_read has no shared state after metadata_start. libxml2 reads nothing
 * but the bytes given: no network, no external entity, entities not replaced.
 *
 * Not here: the drawing (picture.c), what becomes a board (boards.c).
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <libxml/parser.h>
#include <libxml/tree.h>

#include "deploy/demo/corpus.h"

static void stay_silent(void *context, const char *format, ...)
{
    (void)context;
    (void)format;
}

void metadata_start(void)
{
    LIBXML_TEST_VERSION
    xmlInitParser();
    xmlSetGenericErrorFunc(NULL, stay_silent);
}

void metadata_stop(void)
{
    xmlCleanupParser();
}

/* ------------------------------ The tree ---------------------------------- */

static bool is_called(const xmlNode *node, const char *name)
{
    return node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, name) == 0;
}

/* The node after `node` in document order, inside `root`; NULL at the end. A loop and
 * not a recursion: the depth is the file's to choose. */
static xmlNode *next_inside(const xmlNode *root, xmlNode *node)
{
    if (node->type == XML_ELEMENT_NODE && node->children)
        return node->children;
    while (node != root && !node->next)
        node = node->parent;
    return node == root ? NULL : node->next;
}

static xmlNode *first_called(xmlNode *root, const char *name)
{
    for (xmlNode *n = root; n; n = next_inside(root, n))
        if (is_called(n, name))
            return n;
    return NULL;
}

static xmlNode *child_called(const xmlNode *parent, const char *name)
{
    for (xmlNode *n = parent->children; n; n = n->next)
        if (is_called(n, name))
            return n;
    return NULL;
}

/* Only what the element itself says: a stray element inside it is not its text. */
static char *text_of(const xmlNode *node)
{
    char *text = must(strdup(""));
    for (const xmlNode *n = node ? node->children : NULL; n; n = n->next) {
        if ((n->type != XML_TEXT_NODE && n->type != XML_CDATA_SECTION_NODE) ||
            !n->content)
            continue;
        char *longer = NULL;
        if (asprintf(&longer, "%s%s", text, (const char *)n->content) < 0)
            longer = NULL;
        free(text);
        text = must(longer);
    }
    char *tidy = tidy_text(text);
    free(text);
    return tidy;
}

/* ------------------------------ Its parts --------------------------------- */

static bool is_lost_value(const char *s)
{
    if (strncasecmp(s, "hash", 4) == 0 && (s[4] == '\0' || s[4] == '('))
        return true;
    return strncmp(s, "0x", 2) == 0 && s[2 + strspn(s + 2, "0123456789abcdef")] == '\0';
}

static void add_once(strings *list, char *taken)
{
    if (*taken && !strings_have(list, taken))
        strings_add(list, taken);
    else
        free(taken);
}

/* "unsorted" is where the librarians put what they had not read: it says nothing. */
static void add_keyword(strings *list, const char *text)
{
    char *word = board_word(text);
    if (is_lost_value(word) || strcmp(word, "unsorted") == 0)
        free(word);
    else
        add_once(list, word);
}

static void read_keywords(picture *p, xmlNode *subject)
{
    for (xmlNode *n = subject; n; n = next_inside(subject, n)) {
        if (!is_called(n, "li"))
            continue;
        char *text = text_of(n);
        add_keyword(&p->keywords, text);
        free(text);
    }
    strings_sort(&p->keywords);
}

/* Addresses stand behind the name in brackets of some kind; a bare one keeps only what
 * is before the '@'. Nobody's mail address belongs into a demo. */
static char *name_without_address(const char *s)
{
    s += strspn(s, "([<");
    char *name = must(strndup(s, strcspn(s, "([<)]>")));
    char *at = strchr(name, '@');
    if (at)
        *at = '\0';
    char *tidy = tidy_text(name);
    free(name);
    return tidy;
}

static void add_author(picture *p, const char *text)
{
    char *name = name_without_address(text), *both = NULL;
    char *word = board_word(name);
    if (*word && strcmp(word, "unknown") != 0 && !strings_have(&p->authors, word)) {
        if (asprintf(&both, "%s%s%s", p->author, *p->author ? ", " : "", name) < 0)
            both = NULL;
        free(p->author);
        p->author = must(both);
        add_once(&p->authors, must(strdup(word)));
    }
    free(word);
    free(name);
}

static void read_authors(picture *p, xmlNode *creator)
{
    for (xmlNode *n = creator; n; n = next_inside(creator, n)) {
        if (!is_called(n, "title"))
            continue;
        char *text = text_of(n);
        add_author(p, text);
        free(text);
    }
}

/* A title that is nothing but an address loses what is behind the '@', as names do. */
static char *title_without_address(char *title)
{
    char *at = strchr(title, '@');
    if (at && !strchr(title, ' '))
        *at = '\0';
    return title;
}

static void read_work(picture *p, xmlNode *work)
{
    char *description = text_of(child_called(work, "description"));
    free(p->title);
    p->title = title_without_address(text_of(child_called(work, "title")));
    if (!is_lost_value(description)) {
        free(p->description);
        p->description = must(strdup(description));
    }
    free(description);
    for (xmlNode *n = work->children; n; n = n->next) {
        if (is_called(n, "subject"))
            read_keywords(p, n);
        if (is_called(n, "creator"))
            read_authors(p, n);
    }
}

bool metadata_read(picture *p, const char *svg, size_t n)
{
    p->title = must(strdup(""));
    p->description = must(strdup(""));
    p->author = must(strdup(""));
    if (n > INT32_MAX)
        return false;
    xmlDoc *doc = xmlReadMemory(svg, (int)n, NULL, NULL,
                                XML_PARSE_NONET | XML_PARSE_RECOVER | XML_PARSE_NOERROR |
                                    XML_PARSE_NOWARNING | XML_PARSE_COMPACT);
    if (!doc)
        return false;
    xmlNode *root = xmlDocGetRootElement(doc);
    xmlNode *work = root ? first_called(root, "Work") : NULL;
    if (work)
        read_work(p, work);
    xmlFreeDoc(doc);
    return root != NULL;
}
