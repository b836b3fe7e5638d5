# Weights, their files and their encodings.
set(gguf ${CMAKE_SOURCE_DIR}/plugins/weights/gguf)
set(gguf_sources ${gguf}/cursor.c ${gguf}/../common/names.c ${gguf}/meta.c ${gguf}/types.c ${gguf}/tensors.c ${gguf}/shards.c
  ${gguf}/plugin.c)

tenon_unit_test(gguf ${gguf_sources} ${CMAKE_CURRENT_SOURCE_DIR}/unit/counted_memory.c)
tenon_unit_test(gguf_shards ${gguf_sources})
tenon_unit_test(encoding ${TENON_GGUF_ENCODINGS})
tenon_unit_test(encoding_verifier ${TENON_GGUF_ENCODINGS})
tenon_unit_test(encoding_decoder ${TENON_GGUF_ENCODINGS} ${CMAKE_CURRENT_SOURCE_DIR}/unit/counted_memory.c)
if(TARGET test_gguf) # their memory is counted
  target_link_options(test_gguf PRIVATE -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=free)
  target_link_options(test_encoding_decoder PRIVATE -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=free)
endif()
tenon_unit_test(encoding_text ${TENON_GGUF_ENCODINGS})
tenon_unit_test(transform ${TENON_GGUF_ENCODINGS} LIBS tenon_reference m)
tenon_unit_test(files)

set(safetensors ${CMAKE_SOURCE_DIR}/plugins/weights/safetensors)
set(safetensors_sources ${safetensors}/dtypes.c ${safetensors}/folder.c ${safetensors}/json.c ${safetensors}/meta.c
  ${safetensors}/tensors.c ${safetensors}/quantization.c ${safetensors}/quantized.c ${safetensors}/nf4.c ${safetensors}/plugin.c
  ${safetensors}/../common/names.c)
tenon_unit_test(safetensors ${safetensors_sources} LIBS m)
tenon_fuzz_target(safetensors ${safetensors_sources} LIBS PkgConfig::CJSON)
tenon_fuzz_target(config_json ${safetensors_sources} LIBS PkgConfig::CJSON m)
tenon_fuzz_target(gguf ${gguf_sources})
tenon_fuzz_target(encoding LIBS tenon_reference)

# The interpreter of encodings against the Python package gguf.
if(TENON_TESTS)
  find_package(Python3 COMPONENTS Interpreter REQUIRED)
  add_executable(decode_gguf ${CMAKE_CURRENT_SOURCE_DIR}/tools/decode_main.c ${TENON_GGUF_ENCODINGS})
  target_link_libraries(decode_gguf PRIVATE tenon_core tenon_reference)
  add_test(NAME e2e.encodings_gguf
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/e2e/encodings_gguf.py $<TARGET_FILE:decode_gguf> ${CMAKE_C_COMPILER})
  set_tests_properties(e2e.encodings_gguf PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 300)
endif()

# Quantised checkpoints against their formulas in numpy.
if(TENON_TESTS)
  add_executable(decode_checkpoint ${CMAKE_CURRENT_SOURCE_DIR}/tools/checkpoint_main.c ${TENON_CHECKPOINT_ENCODINGS})
  target_link_libraries(decode_checkpoint PRIVATE tenon_core tenon_reference)
  add_executable(decode_tiles ${CMAKE_CURRENT_SOURCE_DIR}/tools/decode_main.c ${TENON_CHECKPOINT_ENCODINGS})
  target_link_libraries(decode_tiles PRIVATE tenon_core tenon_reference)
  add_test(NAME e2e.printed_checkpoints
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/e2e/printed_checkpoints.py $<TARGET_FILE:decode_tiles> ${CMAKE_C_COMPILER})
  set_tests_properties(e2e.printed_checkpoints PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 300)
  add_test(NAME e2e.encodings_checkpoints
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/e2e/encodings_checkpoints.py $<TARGET_FILE:decode_checkpoint>)
  set_tests_properties(e2e.encodings_checkpoints PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 300)
  add_test(NAME e2e.nf4_bitsandbytes
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/e2e/nf4_bitsandbytes.py $<TARGET_FILE:decode_checkpoint>)
  add_test(NAME e2e.checkpoint_packages
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/e2e/checkpoint_packages.py $<TARGET_FILE:decode_checkpoint>)
  set_tests_properties(e2e.nf4_bitsandbytes e2e.checkpoint_packages PROPERTIES SKIP_RETURN_CODE 77)
  add_test(NAME e2e.quantized_folder COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/e2e/quantized_folder.py
    $<TARGET_FILE:tenon> $<TARGET_FILE:decode_checkpoint>)
  set_tests_properties(e2e.quantized_folder PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 300)
endif()

# gpt-oss in MXFP4, as a directory and as a GGUF file.
if(TENON_TESTS)
  add_test(NAME e2e.quantized_gpt_oss COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/e2e/quantized_gpt_oss.py $<TARGET_FILE:tenon>)
  set_tests_properties(e2e.quantized_gpt_oss PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 300)
endif()

# One model as a Hugging Face directory and as a GGUF file.
if(TENON_TESTS)
  add_test(NAME e2e.huggingface COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/e2e/huggingface.py $<TARGET_FILE:tenon>)
  add_test(NAME e2e.hostile_models COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/e2e/hostile_models.py $<TARGET_FILE:tenon>)
  set_tests_properties(e2e.huggingface e2e.hostile_models PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 600)
endif()
