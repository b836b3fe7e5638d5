# Tests of the tokenizer plugins: their sources are compiled into the test, so that sanitizers see them. The fixture finds
# the plugin as tokenizer_entry.
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
set(tokenizers_dir ${CMAKE_SOURCE_DIR}/plugins/tokenizers)
set(tokenizer_fixture ${CMAKE_CURRENT_SOURCE_DIR}/unit/tokenizer_fixture.c)

function(tokenizer_for_tests plugin)
  cmake_parse_arguments(T "" "" "LIBS;WITH" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${tokenizers_dir}/common/*.c ${tokenizers_dir}/${plugin}/*.c)
  foreach(source ${T_WITH})
    list(APPEND sources ${tokenizers_dir}/${source}.c)
  endforeach()
  set_source_files_properties(${tokenizers_dir}/${plugin}/plugin.c PROPERTIES
    COMPILE_DEFINITIONS TENON_STATIC_PLUGIN=tokenizer_entry)
  add_library(${plugin}_for_tests STATIC EXCLUDE_FROM_ALL ${sources})
  target_link_libraries(${plugin}_for_tests PUBLIC tenon_sdk ${T_LIBS})
endfunction()

tokenizer_for_tests(bpe LIBS PkgConfig::PCRE2 PkgConfig::UTF8PROC)
tokenizer_for_tests(json LIBS PkgConfig::PCRE2 PkgConfig::UTF8PROC
  WITH bpe/bytes bpe/classes bpe/encode bpe/forms bpe/pairs bpe/pattern bpe/scan bpe/split unigram/charsmap unigram/lattice unigram/trie
    wordpiece/characters wordpiece/match wordpiece/words)
tokenizer_for_tests(spm)
tokenizer_for_tests(unigram)
tokenizer_for_tests(wordpiece LIBS PkgConfig::UTF8PROC)
tenon_unit_test(bpe ${tokenizer_fixture} LIBS bpe_for_tests)
tenon_unit_test(bpe_split LIBS bpe_for_tests)
tenon_unit_test(spm ${tokenizer_fixture} LIBS spm_for_tests m)
set(json_fixture ${tokenizer_fixture} ${CMAKE_CURRENT_SOURCE_DIR}/unit/json_fixture.c)
tenon_unit_test(tokenizer_json ${json_fixture} LIBS json_for_tests)
tenon_unit_test(tokenizer_json_harm ${json_fixture} LIBS json_for_tests)
tenon_unit_test(tokenizer_pieces ${tokenizer_fixture} LIBS json_for_tests)
get_target_property(json_sources json_for_tests SOURCES)
tenon_fuzz_target(tokenizer_json ${json_sources} LIBS PkgConfig::PCRE2 PkgConfig::UTF8PROC)
tenon_unit_test(unigram ${tokenizer_fixture} LIBS unigram_for_tests m)
tenon_unit_test(wordpiece ${tokenizer_fixture} LIBS wordpiece_for_tests)

# Speed, on request: cmake --build DIR --target tokenizer_bench
add_executable(tokenizer_bench EXCLUDE_FROM_ALL ${CMAKE_CURRENT_SOURCE_DIR}/tools/tokenizer_bench.c
  ${CMAKE_SOURCE_DIR}/core/cli/session.c)
target_link_libraries(tokenizer_bench PRIVATE tenon_core)
set_target_properties(tokenizer_bench PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})

if(TENON_TESTS)
  find_package(Python3 COMPONENTS Interpreter REQUIRED)
  add_executable(tokenizer_json_ids ${CMAKE_CURRENT_SOURCE_DIR}/tools/tokenizer_json_main.c)
  target_link_libraries(tokenizer_json_ids PRIVATE json_for_tests)
  add_test(NAME e2e.tokenizer_json
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/e2e/tokenizer_json.py $<TARGET_FILE:tokenizer_json_ids>)
  add_test(NAME e2e.sentencepiece_model
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/e2e/sentencepiece_model.py $<TARGET_FILE:tokenizer_json_ids>)
  set_tests_properties(e2e.tokenizer_json e2e.sentencepiece_model PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 300)
endif()

if(TARGET tenon)
  find_package(Python3 COMPONENTS Interpreter REQUIRED)
  add_test(NAME e2e.tokenizer_ids
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/e2e/tokenizer_ids.py $<TARGET_FILE:tenon>)
  set_tests_properties(e2e.tokenizer_ids PROPERTIES TIMEOUT 300)
endif()
