/* decoder_avx512.c - decoder_lanes.c for processors with AVX-512 F, BW, VL and DQ. */
#define LANES_RUN tn_ref_lanes_avx512
#include "decoder_lanes.c"
