//===- QuantizedTest.cpp - Integer operators are exact --------------------===//

#include "tests/runtime/ops/Ops.h"

#include <cmath>

using namespace npucc;
using namespace npucc::test;

TEST_CASE("QuantizeLinear rounds half to even and saturates", "[ops][quantized]") {
  Tensor x = f32({8}, {0.5f, 1.5f, 2.5f, -0.5f, -1.5f, 1000, -1000, NAN});
  Tensor y = Op("QuantizeLinear").run({x, f32({}, {1}), i8({}, {0})});
  CHECK(listOf<int8_t>(y) == std::vector<int8_t>{0, 2, 2, 0, -2, 127, -128, -128});
  Tensor u = Op("QuantizeLinear").run({x, f32({}, {1}), u8({}, {3})});
  CHECK(listOf<uint8_t>(u) == std::vector<uint8_t>{3, 5, 5, 3, 1, 255, 0, 0});
  CHECK(Op("QuantizeLinear").run({x, f32({}, {2})}).type() == ElementType::Uint8);
}

TEST_CASE("QuantizeLinear and DequantizeLinear by axis and by block", "[ops][quantized]") {
  Tensor x = f32({2, 4}, {1, 2, 3, 4, 5, 6, 7, 8});
  Tensor byAxis = Op("QuantizeLinear").i("axis", 0).run({x, f32({2}, {1, 2}), i8({2}, {0, 10})});
  CHECK(listOf<int8_t>(byAxis) == std::vector<int8_t>{1, 2, 3, 4, 12, 13, 14, 14});
  Tensor scale = f32({2, 2}, {1, 2, 0.5f, 4});
  Tensor byBlock = Op("QuantizeLinear")
                       .i("axis", 1)
                       .i("block_size", 2)
                       .run({x, scale, i8({2, 2}, {0, 0, 1, 0})});
  CHECK(listOf<int8_t>(byBlock) == std::vector<int8_t>{1, 2, 2, 2, 11, 13, 2, 2});
  Tensor back = Op("DequantizeLinear")
                    .i("axis", 1)
                    .i("block_size", 2)
                    .run({byBlock, scale, i8({2, 2}, {0, 0, 1, 0})});
  CHECK(listOf<float>(back) == Floats{1, 2, 4, 4, 5, 6, 8, 8});
  CHECK(Op("DequantizeLinear").i("axis", 0).error({byBlock, f32({3}, {1, 1, 1})}) ==
        "scale [3] does not fit dimension 0 of [2, 4]");
}

TEST_CASE("DequantizeLinear of int4, int16 and int32", "[ops][quantized]") {
  Tensor packed = castTensor(i8({3}, {-8, 7, 1}), ElementType::Int4);
  CHECK(listOf<float>(Op("DequantizeLinear").run({packed, f32({}, {0.5f})})) ==
        Floats{-4, 3.5f, 0.5f});
  Tensor wide = Tensor::of<int16_t>(ElementType::Int16, {2}, {int16_t(-32768), int16_t(32767)});
  CHECK(listOf<float>(Op("DequantizeLinear").run({wide, f32({}, {1})})) == Floats{-32768, 32767});
  CHECK(listOf<float>(Op("DequantizeLinear").run({i32({1}, {1 << 24}), f32({}, {2})})) ==
        Floats{float(1 << 25)});
  Tensor half = castTensor(f32({}, {0.5f}), ElementType::Float16);
  CHECK(Op("DequantizeLinear").run({packed, half}).type() == ElementType::Float16);
}

TEST_CASE("DynamicQuantizeLinear", "[ops][quantized]") {
  Tensors y = Op("DynamicQuantizeLinear", "", 3).runAll({f32({3}, {-1, 0, 3})});
  CHECK(y[1].asDouble(0) == static_cast<double>(4.0f / 255.0f));
  CHECK(y[2].asInt(0) == 64);
  CHECK(listOf<uint8_t>(y[0]) == std::vector<uint8_t>{0, 64, 255});
}

TEST_CASE("MatMulInteger with zero points of rows and columns", "[ops][quantized]") {
  Tensor a = u8({2, 3}, {0, 255, 7, 1, 2, 3});
  Tensor b = i8({3, 2}, {-128, 127, 5, 6, -1, 0});
  Tensor y = Op("MatMulInteger").run({a, b, u8({2}, {10, 0}), i8({2}, {1, -1})});
  // Row 0 less 10: -10 245 -3; columns less 1 and -1: -129 4 -2, 128 7 1.
  CHECK(listOf<int32_t>(y) == std::vector<int32_t>{2276, 432, -127, 145});
}

TEST_CASE("Integer products equal plain sums for many shapes", "[ops][quantized]") {
  for (int64_t depth : {1, 3, 15, 16, 17, 100})
    for (int64_t columns : {1, 4, 5, 9}) {
      Tensor a = randomTensor(ElementType::Uint8, {3, depth}, 1);
      Tensor b = randomTensor(ElementType::Int8, {depth, columns}, 2);
      Tensor y = Op("MatMulInteger").run({a, b, u8({}, {128})});
      for (int64_t i = 0; i < 3; ++i)
        for (int64_t j = 0; j < columns; ++j) {
          int64_t sum = 0;
          for (int64_t k = 0; k < depth; ++k)
            sum += (a.asInt(i * depth + k) - 128) * b.asInt(k * columns + j);
          CHECK(y.asInt(i * columns + j) == sum);
        }
    }
}

TEST_CASE("QLinearMatMul requantises", "[ops][quantized]") {
  Tensor y = Op("QLinearMatMul")
                 .run({i8({1, 2}, {3, 4}), f32({}, {0.5f}), i8({}, {1}), i8({2, 1}, {5, 6}),
                       f32({}, {0.5f}), i8({}, {0}), f32({}, {2}), u8({}, {9})});
  // acc = 2 * 5 + 3 * 6 = 28; 28 * 0.125 = 3.5, which rounds to 4.
  CHECK(listOf<uint8_t>(y) == std::vector<uint8_t>{13});
}

TEST_CASE("QLinearConv: padding is the zero point; bias; scales of channels", "[ops][quantized]") {
  Tensor x = u8({1, 1, 1, 3}, {10, 11, 12}), w = i8({2, 1, 1, 3}, {1, 2, 3, -1, 0, 1});
  Op conv("QLinearConv");
  conv.ints("pads", {0, 1, 0, 1});
  Tensor y = conv.run({x, f32({}, {1}), u8({}, {10}), w, f32({2}, {1, 0.5f}), i8({2}, {0, 0}),
                       f32({}, {1}), i8({}, {-1}), i32({2}, {0, 3})});
  // x - 10 = 0 1 2: channel 0 gives 3 8 5; channel 1 gives (1 2 -1) + 3 = 4 5 2, halved.
  CHECK(listOf<int8_t>(y) == std::vector<int8_t>{2, 7, 4, 1, 1, 0});
  CHECK(conv.error({x, f32({}, {1}), u8({}, {10}), w, f32({3}, {1, 1, 1}), i8({}, {0}),
                    f32({}, {1}), i8({}, {0})}) ==
        "scale (input 4) has 3 elements, expected 1 or 2");
}

TEST_CASE("ConvInteger equals a convolution of the differences", "[ops][quantized]") {
  for (int64_t groups : {1, 2, 4}) {
    Tensor x = randomTensor(ElementType::Uint8, {2, 4, 7, 9}, 3);
    Tensor w = randomTensor(ElementType::Int8, {8, 4 / groups, 3, 3}, 4);
    Op conv("ConvInteger"), plain("Conv");
    for (Op *op : {&conv, &plain})
      op->i("group", groups).ints("pads", {1, 0, 2, 1}).ints("strides", {2, 1});
    Tensor y = conv.run({x, w, u8({}, {100})});
    Tensor centred = Op("Sub").run(
        {castTensor(x, ElementType::Float64), castTensor(f32({}, {100}), ElementType::Float64)});
    Tensor expected = plain.run({centred, castTensor(w, ElementType::Float64)});
    CHECK(listOf<int32_t>(y) == listOf<int32_t>(castTensor(expected, ElementType::Int32)));
  }
}
