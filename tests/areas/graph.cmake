# The graph room and the model families.
tenon_unit_test(graph)
tenon_unit_test(signature)
tenon_unit_test(memplan)
tenon_unit_test(lower ${CMAKE_CURRENT_SOURCE_DIR}/unit/graph_eval.c LIBS tenon_reference m)
tenon_unit_test(llama ${CMAKE_CURRENT_SOURCE_DIR}/unit/graph_eval.c ${CMAKE_SOURCE_DIR}/models/llama.c LIBS tenon_reference m)
