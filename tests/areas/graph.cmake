# The graph room and the model families.
tenon_unit_test(lower ${CMAKE_CURRENT_SOURCE_DIR}/unit/graph_eval.c LIBS tenon_reference m)
