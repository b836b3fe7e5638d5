# Sources of the CPU kernels and the instruction flags of each level. Include it from the target's directory scope and add
# TENON_CPU_KERNEL_SOURCES to the target: source properties only hold in the directory that sets them.
set(_k ${CMAKE_SOURCE_DIR}/plugins/backends/cpu/kernels)
set(TENON_CPU_KERNEL_SOURCES
  ${_k}/select.c ${_k}/formats.c ${_k}/codebooks.c ${_k}/grids.c ${_k}/layout.c ${_k}/pack.c ${_k}/repack.c
  ${_k}/repack_kquants.c ${_k}/repack_fives.c ${_k}/rope.c
  ${_k}/matmul_scalar.c ${_k}/rows_scalar.c ${_k}/attention_scalar.c ${_k}/scan_scalar.c)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set(_avx2 ${_k}/matmul_avx2.c ${_k}/floats_avx2.c ${_k}/products8_avx2.c ${_k}/rows_avx2.c ${_k}/attention_avx2.c ${_k}/scan_avx2.c)
  set(_avx512 ${_k}/matmul_avx512.c ${_k}/floats_avx512.c ${_k}/products8_avx512.c ${_k}/rows_avx512.c ${_k}/attention_avx512.c ${_k}/scan_avx512.c)
  set_source_files_properties(${_avx2} PROPERTIES COMPILE_OPTIONS "-mavx2;-mfma;-mf16c")
  set_source_files_properties(${_avx512} PROPERTIES COMPILE_OPTIONS
    "-mavx2;-mfma;-mf16c;-mavx512f;-mavx512bw;-mavx512vl;-mavx512dq;-mavx512vnni;-mprefer-vector-width=512")
  set(_avx512_bf16 ${_k}/matmul_avx512_bf16.c ${_k}/lookups8_avx512_bf16.c ${_k}/lookups16_avx512_bf16.c)
  set_source_files_properties(${_avx512_bf16} PROPERTIES COMPILE_OPTIONS
    "-mavx2;-mfma;-mf16c;-mavx512f;-mavx512bw;-mavx512vl;-mavx512dq;-mavx512vnni;-mavx512bf16;-mavx512vbmi;-mgfni;-mprefer-vector-width=512")
  set(_amx ${_k}/matmul_amx.c ${_k}/attention_amx.c)
  set_source_files_properties(${_amx} PROPERTIES COMPILE_OPTIONS
    "-mavx2;-mfma;-mf16c;-mavx512f;-mavx512bw;-mavx512vl;-mavx512dq;-mavx512vnni;-mavx512bf16;-mamx-tile;-mamx-int8;-mamx-bf16;-mprefer-vector-width=512")
  list(APPEND TENON_CPU_KERNEL_SOURCES ${_avx2} ${_avx512} ${_avx512_bf16} ${_amx})
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64|ARM64")
  set_source_files_properties(${_k}/matmul_dotprod.c ${_k}/products8_dotprod.c PROPERTIES COMPILE_OPTIONS "-march=armv8.2-a+dotprod")
  set_source_files_properties(${_k}/matmul_i8mm.c ${_k}/products8_i8mm.c PROPERTIES COMPILE_OPTIONS "-march=armv8.2-a+dotprod+i8mm")
  list(APPEND TENON_CPU_KERNEL_SOURCES
    ${_k}/matmul_neon.c ${_k}/floats_neon.c ${_k}/rows_neon.c ${_k}/attention_neon.c ${_k}/scan_neon.c ${_k}/products8_neon.c
    ${_k}/matmul_dotprod.c ${_k}/products8_dotprod.c ${_k}/matmul_i8mm.c ${_k}/products8_i8mm.c)
  if(CMAKE_C_COMPILER_ID STREQUAL "GNU") # gcc's scheduling before registers are given out spills sums: half of a tile's instructions
    set_property(SOURCE ${_k}/matmul_neon.c ${_k}/products8_neon.c ${_k}/matmul_dotprod.c ${_k}/products8_dotprod.c
      ${_k}/matmul_i8mm.c ${_k}/products8_i8mm.c APPEND PROPERTY COMPILE_OPTIONS "-fno-schedule-insns")
  endif()
endif()
if(CMAKE_C_COMPILER_ID MATCHES "Clang") # it warns of each loop of no turns that it was asked to unroll
  set_property(SOURCE ${TENON_CPU_KERNEL_SOURCES} APPEND PROPERTY COMPILE_OPTIONS "-Wno-pass-failed")
endif()
# gcc inlines no constant functions at -O0, where always_inline then is an error.
set_property(SOURCE ${TENON_CPU_KERNEL_SOURCES} APPEND PROPERTY COMPILE_OPTIONS $<$<CONFIG:Debug>:-O1>)
# Under sanitizers the templates' thousands of loads, each with its checks, took a minute and more per file to compile: so there are fewer
# instances, and what is left out of UBSan is what ASan sees too.
if(TENON_SANITIZE)
  set(_vectors ${_avx2} ${_avx512} ${_avx512_bf16} ${_amx})
  set_property(SOURCE ${_vectors} APPEND PROPERTY COMPILE_OPTIONS "-DFEW_TOKENS")
  if(TENON_SANITIZE MATCHES "undefined")
    set_property(SOURCE ${_vectors} APPEND PROPERTY COMPILE_OPTIONS "-fno-sanitize=null,alignment,object-size,pointer-overflow,bounds")
  endif()
endif()
