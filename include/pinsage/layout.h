/* layout.h - what a catalog is made of: names of its files, and keys of its manifests.
 *
 * One list for who writes, reads, verifies, compacts and erases. Keys that one file alone
 * writes and reads (train.*, options.*, the weights of the blend) stand in that file.
 *
 * Threads: constants.
 */
#ifndef PINSAGE_LAYOUT_H
#define PINSAGE_LAYOUT_H

/* ---- In the catalog's folder, beside the generations ---- */
#define PS_LINK_CURRENT    "current" /* link to the generation in use */
#define PS_DIR_LIVE        "live"    /* folder: the store of what is written */
#define PS_FILE_CHECKPOINT "train.checkpoint"
#define PS_DIR_EMBED_PARTIAL                                                             \
    "embed.partial" /* folder: stages of an embedding under way */

/* ---- In the folder of a generation ---- */
#define PS_FILE_MANIFEST         "manifest.json"
#define PS_FILE_PINS             "pins.mdb" /* ids, texts, images, names of boards */
#define PS_FILE_MODEL            "model.safetensors"
#define PS_FILE_WORDS            "words.safetensors" /* word vectors */
#define PS_FILE_EMBEDDINGS       "embeddings.npy"
#define PS_FILE_INDEX            "index.faiss"
#define PS_FILE_NEAR_ROWS        "neighbours.indices.npy"
#define PS_FILE_NEAR_WEIGHTS     "neighbours.weights.npy"
#define PS_FILE_MESSAGES         "messages.%u.npy" /* of layer 1.. */
#define PS_FILE_STRUCTURE_BOARDS "structure.boards.npy"
#define PS_FILE_VOTES            "votes.jsonl" /* a JSON object a line */

#define PS_DIR_BLOCKS    "features"
#define PS_FILE_BLOCK    PS_DIR_BLOCKS "/%s.npy"
#define PS_DIR_BASELINES "baselines"
#define PS_FILE_BASELINE PS_DIR_BASELINES "/%s.npy"

/* The graph: offsets and indices by pin, then by board. In its folder, and seen from the
 * generation; both in the order of ps_graph.array. */
#define PS_DIR_GRAPH              "graph"
#define PS_GRAPH_PINS             "pin_boards"
#define PS_GRAPH_BOARDS           "board_pins"
#define PS_FILE_PIN_BOARDS_STARTS PS_DIR_GRAPH "/" PS_GRAPH_PINS ".indptr.npy"
#define PS_FILE_PIN_BOARDS        PS_DIR_GRAPH "/" PS_GRAPH_PINS ".indices.npy"
#define PS_FILE_BOARD_PINS_STARTS PS_DIR_GRAPH "/" PS_GRAPH_BOARDS ".indptr.npy"
#define PS_FILE_BOARD_PINS        PS_DIR_GRAPH "/" PS_GRAPH_BOARDS ".indices.npy"
#define PS_GRAPH_FILES                                                                   \
    {                                                                                    \
        PS_FILE_PIN_BOARDS_STARTS, PS_FILE_PIN_BOARDS, PS_FILE_BOARD_PINS_STARTS,        \
            PS_FILE_BOARD_PINS                                                           \
    }

/* ---- In a manifest ---- */
#define PS_KEY_GENERATION   "generation" /* its number */
#define PS_KEY_CREATED      "created"
#define PS_KEY_COUNT_PINS   "counts.pins"
#define PS_KEY_COUNT_BOARDS "counts.boards"
#define PS_KEY_COUNT_EDGES  "counts.edges"
#define PS_KEY_COUNT_VOTES  "counts.votes"

#define PS_KEY_BLOCK_DIM    "blocks.%s.dim"
#define PS_KEY_BLOCK_DTYPE  "blocks.%s.dtype"
#define PS_KEY_BLOCK_FILLED "blocks.%s.filled" /* pins that have it */
#define PS_KEY_BLOCK_OF     "blocks.%s.of"     /* the step that made it; none: imported */
#define PS_KEY_BLOCK_SOURCE "options.import.features.%s" /* the file it came from */

#define PS_KEY_MODEL_BLOCKS     "model.blocks"
#define PS_KEY_MODEL_SIMILARITY "model.similarity"

#define PS_KEY_EMBEDDINGS_SOURCE     "embeddings.source" /* "model", or "import" */
#define PS_KEY_EMBEDDINGS_MODEL      "embeddings.model"  /* its fingerprint */
#define PS_KEY_EMBEDDINGS_DIM        "embeddings.dim"
#define PS_KEY_EMBEDDINGS_FILLED     "embeddings.filled"
#define PS_KEY_EMBEDDINGS_SIMILARITY "embeddings.similarity"

#define PS_KEY_INDEX         "index" /* all of: */
#define PS_KEY_INDEX_VECTORS "index.vectors"
#define PS_KEY_INDEX_FACTORY "index.factory"
#define PS_KEY_INDEX_KNOB    "index.knob"
#define PS_KEY_INDEX_OF      "index.of"
#define PS_KEY_INDEX_WIDER   "index.overfetch"
#define PS_KEY_INDEX_RECALL  "index.recall_at_10"

#define PS_KEY_BLEND       "blend" /* all of: */
#define PS_KEY_BLEND_PAIRS "blend.valid.pairs"
#define PS_KEY_TRAIN       "train"
#define PS_KEY_TRAIN_CURVE "train.curve"

/* The last operation of the live store that the generation contains; and how many
 * compactions there were since all pins were embedded together, 0 when it is missing. */
#define PS_COMPACTED   "live.compacted"
#define PS_COMPACTIONS "embeddings.compactions"

#endif
