//===- ShapeTest.cpp - Operators that move elements -----------------------===//

#include "tests/runtime/ops/Ops.h"

using namespace npucc;
using namespace npucc::test;

TEST_CASE("Reshape", "[ops][shape]") {
  Tensor x = counting({2, 3, 4});
  CHECK(shapeOf(Op("Reshape").run({x, i64({0, -1})})) == Ints{2, 12});
  CHECK(shapeOf(Op("Reshape").i("allowzero", 1).run({f32({0, 3}, {}), i64({3, 0})})) == Ints{3, 0});
  CHECK(Op("Reshape").error({x, i64({5, -1})}) == "cannot reshape [2, 3, 4] to [5, -1]");
  CHECK(Op("Reshape").error({x, i64({-1, -1})}) == "shape has more than one -1");
  CHECK(Op("Reshape").error({x, i64({int64_t(1) << 40, int64_t(1) << 40})}) ==
        "shape [1099511627776, 1099511627776] is too large");
}

TEST_CASE("Slice follows Python", "[ops][shape]") {
  Tensor x = counting({6});
  auto slice = [&](int64_t start, int64_t end, int64_t step) {
    return listOf<float>(Op("Slice").run({x, i64({start}), i64({end}), i64({0}), i64({step})}));
  };
  CHECK(slice(1, 4, 1) == Floats{2, 3, 4});
  CHECK(slice(-2, INT64_MAX, 1) == Floats{5, 6});
  CHECK(slice(INT64_MAX, INT64_MIN, -2) == Floats{6, 4, 2});
  CHECK(slice(0, INT64_MIN, -1) == Floats{1});
  CHECK(slice(4, 2, 1).empty());
  CHECK(slice(0, 6, INT64_MAX) == Floats{1});
  CHECK(slice(5, INT64_MIN, INT64_MIN) == Floats{6});
  CHECK(Op("Slice").error({x, i64({0}), i64({1}), i64({1})}) ==
        "axis 1 is out of range for rank 1");
  CHECK(Op("Slice").error({x, i64({0}), i64({1}), i64({0}), i64({0})}) == "step 0");
}

TEST_CASE("Pad in its modes", "[ops][shape]") {
  Tensor x = counting({3});
  auto pad = [&](const char *mode, std::vector<int64_t> pads) {
    return listOf<float>(Op("Pad").s("mode", mode).run({x, i64(pads)}));
  };
  CHECK(pad("constant", {1, 2}) == Floats{0, 1, 2, 3, 0, 0});
  CHECK(pad("reflect", {2, 1}) == Floats{3, 2, 1, 2, 3, 2});
  CHECK(pad("edge", {1, 1}) == Floats{1, 1, 2, 3, 3});
  CHECK(pad("wrap", {1, 2}) == Floats{3, 1, 2, 3, 1, 2});
  CHECK(pad("constant", {-1, 1}) == Floats{2, 3, 0});
  Tensor byAxis = Op("Pad").run({counting({1, 2}), i64({1, 0}), f32({}, {9}), i64({-1})});
  CHECK(listOf<float>(byAxis) == Floats{9, 1, 2});
  CHECK(Op("Pad").error({x, i64({-4, 0})}) == "pads crop more than dimension 0 of [3]");
  CHECK(Op("Pad").error({x, i64({1})}) == "pads has 1 elements, expected 2");
}

TEST_CASE("Transpose, Concat, Split, Tile, Expand", "[ops][shape]") {
  Tensor x = counting({2, 3});
  CHECK(listOf<float>(Op("Transpose").run({x})) == Floats{1, 4, 2, 5, 3, 6});
  CHECK(Op("Transpose").ints("perm", {0, 0}).error({x}) == "axis 0 is given twice");
  CHECK(listOf<float>(Op("Concat").i("axis", 1).run({x, counting({2, 1})})) ==
        Floats{1, 2, 3, 1, 4, 5, 6, 2});
  CHECK(Op("Concat").i("axis", 0).error({x, counting({2, 1})}) ==
        "inputs [2, 3] and [2, 1] differ in dimension 1");
  Tensors parts = Op("Split", "", 2).i("axis", 1).i("num_outputs", 2).runAll({x});
  CHECK(listOf<float>(parts[0]) == Floats{1, 2, 4, 5});
  CHECK(listOf<float>(parts[1]) == Floats{3, 6});
  CHECK(Op("Split", "", 2).error({x, i64({1, 2})}) ==
        "split [1, 2] does not fit dimension 2 and 2 outputs");
  CHECK(listOf<float>(Op("Tile").run({counting({2}), i64({3})})) == Floats{1, 2, 1, 2, 1, 2});
  CHECK(shapeOf(Op("Expand").run({counting({3, 1}), i64({2, 1, 4})})) == Ints{2, 3, 4});
  CHECK(Op("Expand").error({f32({1}, {1}), i64({int64_t(1) << 40})}) ==
        "result shape [1099511627776] needs more than 8192 MiB");
}

TEST_CASE("4-bit tensors move", "[ops][shape]") {
  Tensor x = castTensor(i8({2, 3}, {1, 2, 3, -4, -5, -6}), ElementType::Int4);
  Tensor y = Op("Transpose").run({x});
  REQUIRE(y.type() == ElementType::Int4);
  CHECK(listOf<int8_t>(castTensor(y, ElementType::Int8)) ==
        std::vector<int8_t>{1, -4, 2, -5, 3, -6});
}

TEST_CASE("Gather and scatter check their indices", "[ops][shape]") {
  Tensor x = counting({3, 2});
  CHECK(listOf<float>(Op("Gather").run({x, i64({-1, 0})})) == Floats{5, 6, 1, 2});
  CHECK(Op("Gather").error({x, i64({3})}) == "index 3 is out of range for dimension 3");
  CHECK(listOf<float>(Op("GatherElements").i("axis", 1).run({x, i64({2, 1}, {1, 0})})) ==
        Floats{2, 3});
  CHECK(listOf<float>(Op("GatherND").run({x, i64({2, 2}, {0, 1, 2, -2})})) == Floats{2, 5});
  CHECK(Op("GatherND").error({x, i64({1, 2}, {0, 2})}) ==
        "index 2 is out of range for dimension 2");
  Tensor nd = Op("ScatterND").run({x, i64({1, 1}, {1}), f32({1, 2}, {8, 9})});
  CHECK(listOf<float>(nd) == Floats{1, 2, 8, 9, 5, 6});
  Tensor add = Op("ScatterElements")
                   .s("reduction", "add")
                   .run({counting({3}), i64({0, 0, 2}), f32({3}, {10, 10, 1})});
  CHECK(listOf<float>(add) == Floats{21, 2, 4});
  CHECK(Op("ScatterND").error({x, i64({1, 1}, {1}), f32({1, 1}, {8})}) ==
        "updates [1, 1] should be [1, 2]");
}

TEST_CASE("Range, Trilu, OneHot, NonZero", "[ops][shape]") {
  CHECK(listOf<int64_t>(Op("Range").run({i64({}, {5}), i64({}, {0}), i64({}, {-2})})) ==
        Ints{5, 3, 1});
  CHECK(Op("Range").error({i64({}, {0}), i64({}, {1}), i64({}, {0})}) == "delta is 0");
  CHECK(Op("Range").error({i64({}, {INT64_MIN}), i64({}, {INT64_MAX}), i64({}, {1})}) ==
        "range is too long");
  CHECK(listOf<float>(Op("Trilu").i("upper", 0).run({counting({2, 3}), i64({}, {1})})) ==
        Floats{1, 2, 0, 4, 5, 6});
  CHECK(listOf<float>(Op("OneHot").run({i64({-1, 5}), i64({}, {3}), f32({2}, {0, 7})})) ==
        Floats{0, 0, 7, 0, 0, 0});
  CHECK(listOf<int64_t>(Op("NonZero").run({f32({2, 2}, {0, 1, 1, 0})})) == Ints{0, 1, 1, 0});
}

TEST_CASE("Rules know what depends on data", "[ops][shape]") {
  Tensor x = counting({4, 6});
  auto values = check(Op("Reshape").infer({x, i64({3, -1})}, false));
  REQUIRE(values[0].dims);
  CHECK(values[0].dims->size() == 2);
  CHECK_FALSE(values[0].isStatic());
  CHECK(check(Op("Reshape").infer({x, i64({3, -1})}))[0].shape() == Shape{3, 8});
  CHECK_FALSE(check(Op("NonZero").infer({x}))[0].isStatic());
  CHECK(check(Op("Shape").infer({x}, false))[0].shape() == Shape{2});
}
