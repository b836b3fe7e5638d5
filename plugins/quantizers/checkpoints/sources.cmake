# The files of this plugin, for it and for the tests that build them once more.
set(TENON_CHECKPOINT_ENCODINGS)
foreach(noun affine gptq awq fp8 mlc nf4 compressed plugin)
  list(APPEND TENON_CHECKPOINT_ENCODINGS ${CMAKE_CURRENT_LIST_DIR}/${noun}.c)
endforeach()
