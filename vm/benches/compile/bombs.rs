//! Modules that obey every limit and try to be slow to compile, each in a way of its own.

use crate::calls::*;
use crate::flow::*;
use crate::many::*;
use crate::module::Parts;
use crate::plain::*;

/// A way to be slow: `make(size, functions)` has so many functions of about so many bytes.
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    pub(crate) make: fn(usize, u32) -> Parts,
}

macro_rules! shapes {
    ($($name:literal => $make:expr;)*) => {
        /// Every shape.
        pub(crate) const SHAPES: &[Shape] = &[$(Shape { name: $name, make: $make },)*];
    };
}

shapes! {
    "joins of 4 values" => |size, count| joins(size, count, 4);
    "joins of 24 values" => |size, count| joins(size, count, 24);
    "joins of 64 values" => |size, count| joins(size, count, 64);
    "joins of 500 values" => |size, count| joins(size, count, 500);
    "joins of 4000 values" => |size, count| joins(size, count, 4_000);
    "ifs of 64 values" => |size, count| ifs(size, count, 64);
    "ifs of 500 values" => |size, count| ifs(size, count, 500);
    "loops of 64 values" => |size, count| loops(size, count, 64);
    "loops of 500 values" => |size, count| loops(size, count, 500);
    "nested loops of 100 values" => |size, count| nested_loops(size, count, 100);
    "straight, 16 values" => |size, count| straight(size, count, 16);
    "straight, 256 values" => |size, count| straight(size, count, 256);
    "straight, 4000 values" => |size, count| straight(size, count, 4_000);
    "calls over 200 values" => |size, count| over_calls(size, count, 200);
    "calls over 2000 values" => |size, count| over_calls(size, count, 2_000);
    "calls of 128 parameters and results" => |size, count| wide_calls(size, count, 128);
    "calls of 32 parameters and results" => |size, count| wide_calls(size, count, 32);
    "calls of 8 parameters and results" => |size, count| wide_calls(size, count, 8);
    "calls of 4 parameters" => narrow_calls;
    "indirect calls" => indirect_calls;
    "joins of 128 results" => joined_calls;
    "indirect calls of 128 parameters" => wide_indirect_calls;
    "blocks of 128 parameters" => wide_blocks;
    "4000 operands below blocks" => tall_operands;
    "br_table to loops" => |size, count| tables_to_loops(size, count, 64, 200);
    "br_table to blocks of 100 values" => |size, count| tables_to_blocks(size, count, 100);
    "br_table with 128 operands" => wide_tables;
    "long br_table" => |size, count| tables_to_blocks(size, count, 1);
    "branches out of nested blocks" => branches;
    "floats" => floats;
    "divisions" => divisions;
    "rotations" => rotations;
    "truncations" => truncations;
    "memory.copy" => copies;
    "memory.grow" => grows;
    "table.get" => table_gets;
    "table.grow" => table_grows;
    "ref.func, table.set" => references;
    "loads and stores" => loads;
    "far loads" => far_loads;
    "globals" => globals;
    "constants" => constants;
    "additions of constants" => additions;
    "expressions" => expressions;
    "shifts and selects" => selects;
    "equal expressions" => equal_expressions;
    "small functions" => small_functions;
    "empty functions" => empty_functions;
    "functions of 128 parameters" => |size, count| wide_functions(size, count, 128);
    "functions of 16 parameters" => |size, count| wide_functions(size, count, 16);
    "functions of 4000 locals" => many_locals;
    "data segments" => segments;
    "element segments" => element_segments;
    "elements of segments" => elements;
    "exports" => exports;
    "many globals" => many_globals;
    "many types" => types;
    "dead code" => dead;
    "nothing" => nothing;
}
