//===- FloatTest.cpp - Convolutions, products, pools, cells ---------------===//

#include "tests/runtime/ops/Ops.h"

using namespace npucc;
using namespace npucc::test;

namespace {

/// Conv by its definition, for 2-D inputs.
Tensor slowConv(const Tensor &x, const Tensor &w, int64_t groups, int64_t stride, int64_t dilation,
                int64_t pad) {
  int64_t h = x.shape()[2], v = x.shape()[3], k = w.shape()[2];
  int64_t oh = (h + 2 * pad - (k - 1) * dilation - 1) / stride + 1;
  int64_t ow = (v + 2 * pad - (k - 1) * dilation - 1) / stride + 1;
  int64_t channels = w.shape()[1], outputs = w.shape()[0];
  Tensor y = Tensor::zeros(ElementType::Float64, {x.shape()[0], outputs, oh, ow});
  double *to = y.mutableValues<double>().data();
  for (int64_t n = 0; n < x.shape()[0]; ++n)
    for (int64_t m = 0; m < outputs; ++m)
      for (int64_t oy = 0; oy < oh; ++oy)
        for (int64_t ox = 0; ox < ow; ++ox, ++to)
          for (int64_t c = 0; c < channels; ++c)
            for (int64_t ky = 0; ky < k; ++ky)
              for (int64_t kx = 0; kx < k; ++kx) {
                int64_t iy = oy * stride + ky * dilation - pad;
                int64_t ix = ox * stride + kx * dilation - pad;
                int64_t ic = m / (outputs / groups) * channels + c;
                if (iy >= 0 && iy < h && ix >= 0 && ix < v)
                  *to += x.asDouble(((n * x.shape()[1] + ic) * h + iy) * v + ix) *
                         w.asDouble(((m * channels + c) * k + ky) * k + kx);
              }
  return y;
}

} // namespace

TEST_CASE("Conv equals its definition", "[ops][conv]") {
  for (int64_t groups : {1, 2, 4})
    for (int64_t stride : {1, 2, 3})
      for (int64_t dilation : {1, 2})
        for (int64_t pad : {0, 1, 4}) {
          Tensor x = randomTensor(ElementType::Float64, {2, 4, 9, 11}, 1);
          Tensor w = randomTensor(ElementType::Float64, {8, 4 / groups, 3, 3}, 2);
          Op conv("Conv");
          conv.i("group", groups).ints("strides", {stride, stride});
          conv.ints("dilations", {dilation, dilation}).ints("pads", {pad, pad, pad, pad});
          Tensor y = conv.run({x, w}), expected = slowConv(x, w, groups, stride, dilation, pad);
          REQUIRE(shapeOf(y) == shapeOf(expected));
          for (int64_t i = 0; i < y.size(); ++i)
            REQUIRE(y.asDouble(i) == Approx(expected.asDouble(i)).margin(1e-9));
          CHECK(check(conv.infer({x, w}))[0].shape() == Shape(y.shape()));
        }
}

TEST_CASE("Conv: auto_pad, 1-D, 3-D and what is wrong", "[ops][conv]") {
  Tensor ones = f32({1, 1, 3}, {1, 1, 1});
  Tensor y =
      Op("Conv").s("auto_pad", "SAME_UPPER").ints("strides", {2}).run({counting({1, 1, 4}), ones});
  CHECK(listOf<float>(y) == Floats{6, 7});
  Tensor low =
      Op("Conv").s("auto_pad", "SAME_LOWER").ints("strides", {2}).run({counting({1, 1, 4}), ones});
  CHECK(listOf<float>(low) == Floats{3, 9});
  Tensor cube = Op("Conv").run({counting({1, 1, 2, 2, 2}), counting({1, 1, 2, 2, 2})});
  CHECK(listOf<float>(cube) == Floats{204});

  Tensor x = counting({1, 2, 4, 4});
  CHECK(Op("Conv").ints("strides", {0, 1}).error({x, counting({1, 2, 3, 3})}) ==
        "strides [0, 1] is out of range");
  CHECK(Op("Conv").ints("strides", {1}).error({x, counting({1, 2, 3, 3})}) ==
        "strides [1] should have 2 elements");
  CHECK(Op("Conv").i("group", 3).error({x, counting({1, 2, 3, 3})}) ==
        "group 3 does not divide 1 output channels");
  CHECK(Op("Conv").error({x, counting({1, 3, 3, 3})}) ==
        "input has 2 channels, weights expect 3 for each of 1 groups");
  CHECK(Op("Conv").error({x, counting({1, 2, 5, 5})}) ==
        "window of 5 exceeds the padded input of 4");
  CHECK(Op("Conv").ints("pads", {-1, 0, 0, 0}).error({x, counting({1, 2, 3, 3})}) ==
        "pads [-1, 0, 0, 0] is out of range");
  CHECK(Op("Conv")
            .ints("pads", {1 << 30, 1 << 30, 1 << 30, 1 << 30})
            .error({x, counting({1, 2, 3, 3})}) ==
        "result shape [1, 1, 2147483650, 2147483650] is not valid");
  CHECK(Op("Conv").error({x}) == "input 1 is missing");
}

TEST_CASE("ConvTranspose scatters", "[ops][conv]") {
  Op op("ConvTranspose");
  Tensor y = op.ints("strides", {2}).run({f32({1, 1, 2}, {1, 10}), f32({1, 1, 3}, {1, 2, 3})});
  CHECK(listOf<float>(y) == Floats{1, 2, 13, 20, 30});
  op.ints("pads", {1, 0}).ints("output_padding", {1});
  Tensor cut = op.run({f32({1, 1, 2}, {1, 10}), f32({1, 1, 3}, {1, 2, 3})});
  CHECK(listOf<float>(cut) == Floats{2, 13, 20, 30, 0});
  Tensor groups =
      Op("ConvTranspose")
          .i("group", 2)
          .run({f32({1, 2, 1}, {1, 2}), f32({2, 1, 2}, {1, 2, 3, 4}), f32({2}, {100, 200})});
  CHECK(listOf<float>(groups) == Floats{101, 102, 206, 208});
}

TEST_CASE("MatMul broadcasts batches and takes vectors", "[ops][matmul]") {
  Tensor a = counting({2, 1, 2, 3}), b = counting({2, 3, 2});
  Tensor y = Op("MatMul").run({a, b});
  CHECK(shapeOf(y) == Ints{2, 2, 2, 2});
  CHECK(listOf<float>(y)[0] == 1 * 1 + 2 * 3 + 3 * 5);
  CHECK(listOf<float>(y)[15] == 10 * 8 + 11 * 10 + 12 * 12);
  CHECK(shapeOf(Op("MatMul").run({counting({3}), counting({3})})) == Ints{});
  CHECK(shapeOf(Op("MatMul").run({counting({3}), counting({4, 3, 2})})) == Ints{4, 2});
  CHECK(Op("MatMul").error({counting({2, 3}), counting({2, 3})}) ==
        "inner dimensions of [2, 3] and [2, 3] differ");
  Tensor empty = Op("MatMul").run({f32({2, 0}, {}), f32({0, 3}, {})});
  CHECK(listOf<float>(empty) == Floats(6, 0.0f));
}

TEST_CASE("Gemm transposes, scales and adds", "[ops][matmul]") {
  Tensor a = counting({2, 3}), b = counting({2, 3});
  Tensor y = Op("Gemm").i("transB", 1).f("alpha", 2).f("beta", 0.5f).run({a, b, f32({2}, {2, 4})});
  CHECK(listOf<float>(y) == Floats{29, 66, 65, 156});
  CHECK(Op("Gemm").error({a, b}) == "inner dimensions of [2, 3] and [2, 3] differ");
}

TEST_CASE("Half precision is computed in fp32 and rounded once", "[ops][matmul]") {
  // 2048 + 1 + 1 is 2050 in fp32; step by step in fp16 it would stay 2048.
  Tensor a = castTensor(f32({1, 3}, {2048, 1, 1}), ElementType::Float16);
  Tensor ones = castTensor(f32({3, 1}, {1, 1, 1}), ElementType::Float16);
  Tensor y = Op("MatMul").run({a, ones});
  CHECK(y.type() == ElementType::Float16);
  CHECK(y.asDouble(0) == 2050);
}

TEST_CASE("Einsum", "[ops][matmul]") {
  auto einsum = [](const char *equation, llvm::ArrayRef<Tensor> inputs) {
    return Op("Einsum").s("equation", equation).run(inputs);
  };
  Tensor a = counting({2, 3}), b = counting({3, 2});
  CHECK(listOf<float>(einsum("ij,jk->ik", {a, b})) == Floats{22, 28, 49, 64});
  CHECK(listOf<float>(einsum("ij->ji", {a})) == Floats{1, 4, 2, 5, 3, 6});
  CHECK(listOf<float>(einsum("ij->", {a})) == Floats{21});
  CHECK(listOf<float>(einsum("ii->i", {counting({2, 2})})) == Floats{1, 4});
  CHECK(listOf<float>(einsum("i,j->ij", {counting({2}), counting({2})})) == Floats{1, 2, 2, 4});
  CHECK(listOf<float>(einsum("ij,jk,k->i", {a, b, counting({2})})) == Floats{78, 177});
  CHECK(shapeOf(einsum("...ij,...jk->...ik", {counting({2, 1, 2, 3}), counting({4, 3, 5})})) ==
        Ints{2, 4, 2, 5});
  CHECK(Op("Einsum").s("equation", "ij,jk").error({a}) == "equation has 2 terms for 1 inputs");
  CHECK(Op("Einsum").s("equation", "i->i").error({a}) == "term 'i' does not fit rank 2");
}

TEST_CASE("Pools: ceil_mode, padding and indices", "[ops][pool]") {
  Tensor x = counting({1, 1, 4, 4});
  Tensors y = Op("MaxPool", "", 2).ints("kernel_shape", {2, 2}).ints("strides", {2, 2}).runAll({x});
  CHECK(listOf<float>(y[0]) == Floats{6, 8, 14, 16});
  CHECK(listOf<int64_t>(y[1]) == Ints{5, 7, 13, 15});
  Op average("AveragePool");
  average.ints("kernel_shape", {3}).ints("strides", {2}).ints("pads", {1, 0}).i("ceil_mode", 1);
  CHECK(listOf<float>(average.run({counting({1, 1, 4})})) == Floats{1.5f, 3});
  average.i("count_include_pad", 1);
  CHECK(listOf<float>(average.run({counting({1, 1, 4})})) == Floats{1, 3});
  CHECK(Op("MaxPool").error({x}) == "attribute 'kernel_shape' is missing");
  CHECK(Op("MaxPool").ints("kernel_shape", {0, 1}).error({x}) ==
        "kernel_shape [0, 1] is not positive");
  CHECK(
      listOf<int8_t>(Op("MaxPool").ints("kernel_shape", {2}).run({i8({1, 1, 3}, {-5, -128, 3})})) ==
      std::vector<int8_t>{-5, 3});
}

TEST_CASE("LSTM keeps the state of a sequence that ended", "[ops][recurrent]") {
  Tensor x = randomTensor(ElementType::Float32, {3, 2, 4}, 1);
  Tensor w = randomTensor(ElementType::Float32, {1, 20, 4}, 2);
  Tensor r = randomTensor(ElementType::Float32, {1, 20, 5}, 3);
  Op lstm("LSTM", "", 3);
  lstm.i("hidden_size", 5);
  Tensors whole = lstm.runAll({x, w, r});
  Tensors cut = lstm.runAll({x, w, r, Tensor(), i32({2}, {3, 1})});
  for (int64_t k = 0; k < 5; ++k) {
    CHECK(cut[1].asDouble(k) == whole[1].asDouble(k));
    CHECK(cut[1].asDouble(5 + k) == whole[0].asDouble(5 + k)); // the state after one step
    CHECK(cut[0].asDouble(15 + k) == 0);                       // step 1 of sequence 1
  }
}
