/* decoder_avx2.c - decoder_lanes.c for processors with AVX2 and FMA. */
#define LANES_RUN tn_ref_lanes_avx2
#include "decoder_lanes.c"
