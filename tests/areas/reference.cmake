# The scalar reference ops.
tenon_unit_test(reference LIBS tenon_reference m)
