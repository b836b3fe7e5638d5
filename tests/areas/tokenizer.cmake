# Tests of the tokenizer plugins: their sources are compiled into the test, so that sanitizers see them.
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
set(bpe_dir ${CMAKE_SOURCE_DIR}/plugins/tokenizers/bpe)
set(bpe_sources)
foreach(noun bytes encode merge pairs plugin pre special split vocab work)
  list(APPEND bpe_sources ${bpe_dir}/${noun}.c)
endforeach()
set_source_files_properties(${bpe_dir}/plugin.c PROPERTIES COMPILE_DEFINITIONS TENON_STATIC_PLUGIN=bpe_entry)
tenon_unit_test(bpe ${bpe_sources} LIBS PkgConfig::PCRE2)
