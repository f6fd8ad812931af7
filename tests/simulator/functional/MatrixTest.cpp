//===- MatrixTest.cpp - Matrix commands against naive loops ---------------===//

#include "tests/simulator/functional/Bench.h"

#include <cmath>

using namespace npucc;
using namespace npucc::test;

namespace {

bool guarded(const Operand &o, llvm::ArrayRef<int64_t> index) {
  for (const Guard &g : o.guards) {
    int64_t at = g.start.constant + dot(g.coefficients, index);
    if (at < 0 || at >= g.bound)
      return true;
  }
  return false;
}

double value(const Bench &bench, const Operand &o, llvm::ArrayRef<int64_t> index) {
  if (guarded(o, index))
    return o.fill;
  return decodeElement(o.type, &bench.dram.at(o.address.offset.constant + dot(o.strides, index)));
}

/// A convolution with random sizes, strides, padding, groups and layouts in DRAM.
void convolution(uint32_t seed, ElementType aType, ElementType bType) {
  Random random(seed);
  bool isFloatType = isFloat(aType);
  int64_t batch = pick(random, 1, 2), groups = pick(random, 1, 3), ic = pick(random, 1, 20),
          oc = pick(random, 1, 40), oh = pick(random, 1, 9), ow = pick(random, 1, 9),
          kh = pick(random, 1, 3), kw = pick(random, 1, 3), stride = pick(random, 1, 2),
          dilation = pick(random, 1, 2), pad = pick(random, 0, 2);
  int64_t h = std::max<int64_t>(1, (oh - 1) * stride + (kh - 1) * dilation + 1 - 2 * pad);
  int64_t w = std::max<int64_t>(1, (ow - 1) * stride + (kw - 1) * dilation + 1 - 2 * pad);
  int64_t ab = elementBytes(aType), bb = elementBytes(bType);
  bool channelsLast = random() % 2;
  // dims: n, g, oc, oy, ox, ic, ky, kx
  MatrixCommand m;
  for (int64_t e : {batch, groups, oc, oh, ow})
    m.dims.push_back(dim(e));
  for (int64_t e : {ic, kh, kw})
    m.dims.push_back(dim(e, true));
  int64_t cs, ys, xs, ns = groups * ic * h * w * ab;
  if (channelsLast)
    cs = ab, xs = groups * ic * ab, ys = w * xs;
  else
    xs = ab, ys = w * ab, cs = h * ys;
  int64_t aBase = 64 + pad * (ys + xs); // the padding's addresses lie before the tensor
  int64_t aStart = aBase - pad * (ys + xs);
  m.a = operand(Space::Dram, aStart, aType,
                {ns, ic * cs, 0, ys * stride, xs * stride, cs, ys * dilation, xs * dilation});
  Guard gy, gx;
  gy.start.constant = gx.start.constant = -pad;
  gy.coefficients = {0, 0, 0, stride, 0, 0, dilation, 0};
  gx.coefficients = {0, 0, 0, 0, stride, 0, 0, dilation};
  gy.bound = h;
  gx.bound = w;
  m.a.guards = {gy, gx};
  m.aZero = isFloatType ? 0 : static_cast<int32_t>(pick(random, -4, 4));
  m.bZero = isFloatType ? 0 : static_cast<int32_t>(pick(random, -4, 4));
  m.a.fill = m.aZero;
  int64_t bBase = aBase + batch * ns;
  bool ocFast = random() % 2;
  llvm::SmallVector<int64_t, 8> bs = {0, 0, 0, 0, 0, 0, 0, 0};
  if (ocFast)
    bs[2] = bb, bs[7] = oc * bb, bs[6] = kw * bs[7], bs[5] = kh * bs[6], bs[1] = ic * bs[5];
  else
    bs[7] = bb, bs[6] = kw * bb, bs[5] = kh * bs[6], bs[2] = ic * bs[5], bs[1] = oc * bs[2];
  m.b = operand(Space::Dram, bBase, bType, bs);
  int64_t accBase = (bBase + groups * oc * ic * kh * kw * bb + 3) / 4 * 4;
  llvm::SmallVector<int64_t, 8> as = {
      groups * oc * oh * ow * 4, oc * oh * ow * 4, oh * ow * 4, ow * 4, 4, 0, 0, 0};
  if (random() % 2) // channels fastest
    as = {groups * oc * oh * ow * 4, oc * 4, 4, ow * groups * oc * 4, groups * oc * 4, 0, 0, 0};
  m.accumulator =
      operand(Space::Dram, accBase, isFloatType ? ElementType::Float32 : ElementType::Int32, as);
  bool clear = random() % 2;
  if (!clear) {
    m.clearIf.always = false;
    m.clearIf.equals = 1;
  }
  int64_t bytes = accBase + batch * groups * oc * oh * ow * 4;
  if (random() % 3 == 0) { // a ragged tile
    m.dims[2].clipped = true;
    m.dims[2].start.constant = 16;
    m.dims[2].bound = 16 + std::max<int64_t>(1, oc - 3);
  }
  Bench bench(bytes + 64);
  auto fill = [&](int64_t from, int64_t to, ElementType type) {
    int64_t step = elementBytes(type);
    for (int64_t at = from; at + step <= to; at += step)
      bench.put(at, type, isFloat(type) ? pick(random, -64, 64) / 16.0 : pick(random, -128, 255));
  };
  fill(aBase, bBase, aType);
  fill(bBase, accBase, bType);
  fill(accBase, bytes, m.accumulator.type);
  bench.add(m);
  std::vector<uint8_t> got = bench.run();

  llvm::SmallVector<int64_t, 8> extents;
  clippedExtents(m.dims, bench.state, extents);
  std::vector<double> expected((bytes - accBase) / 4);
  for (size_t i = 0; i < expected.size(); ++i)
    expected[i] = decodeElement(m.accumulator.type, &bench.dram[accBase + i * 4]);
  if (clear)
    eachPoint(llvm::ArrayRef(extents).take_front(5), [&](llvm::ArrayRef<int64_t> i) {
      expected[dot(i, llvm::ArrayRef(as).take_front(5)) / 4] = 0;
    });
  eachPoint(extents, [&](llvm::ArrayRef<int64_t> i) {
    expected[dot(as, i) / 4] += (value(bench, m.a, i) - m.aZero) * (value(bench, m.b, i) - m.bZero);
  });
  for (size_t i = 0; i < expected.size(); ++i) {
    double actual = decodeElement(m.accumulator.type, &got[accBase + i * 4]);
    if (isFloatType)
      REQUIRE(actual == Approx(expected[i]).epsilon(1e-5).margin(1e-4));
    else
      REQUIRE(actual == expected[i]);
  }
}

} // namespace

TEST_CASE("convolutions of all types agree with naive loops", "[functional][matrix]") {
  using T = ElementType;
  auto types = GENERATE(std::pair(T::Int8, T::Int8), std::pair(T::Uint8, T::Int8),
                        std::pair(T::Uint8, T::Uint8), std::pair(T::Int16, T::Int8),
                        std::pair(T::Float32, T::Float32), std::pair(T::Float16, T::Float16),
                        std::pair(T::BFloat16, T::BFloat16),
                        std::pair(T::Float8E4M3FN, T::Float8E4M3FN), std::pair(T::Int8, T::Int4));
  for (uint32_t seed = 1; seed <= 40; ++seed) {
    INFO(name(types.first) << " x " << name(types.second) << ", seed " << seed);
    convolution(seed, types.first, types.second);
  }
}

TEST_CASE("int32 accumulators wrap", "[functional][matrix]") {
  Bench bench(64);
  MatrixCommand m;
  m.dims = {dim(1), dim(1), dim(2, true)};
  m.a = operand(Space::Dram, 0, ElementType::Int32, {0, 0, 4});
  m.b = operand(Space::Dram, 8, ElementType::Int32, {0, 0, 4});
  m.accumulator = operand(Space::Dram, 16, ElementType::Int32, {4, 4, 0});
  for (int64_t at : {0, 4})
    bench.put(at, ElementType::Int32, 1 << 30);
  bench.put(8, ElementType::Int32, 3);
  bench.put(12, ElementType::Int32, 2);
  bench.add(m);
  CHECK(Bench::at<int32_t>(bench.run(), 16) == static_cast<int32_t>(uint32_t(uint64_t(5) << 30)));
}

TEST_CASE("the output stage requantises and saturates", "[functional][matrix]") {
  // 3 pixels x 4 channels from depth 5, per-channel scale, int8 out, accumulators in Acc.
  Bench bench(512);
  Random random(7);
  for (int64_t i = 0; i < 40; ++i)
    bench.put(i, ElementType::Int8, pick(random, -128, 127));
  for (int64_t c = 0; c < 4; ++c)
    bench.put(64 + 4 * c, ElementType::Float32, 0.004 * (c + 1));
  MatrixCommand m;
  m.dims = {dim(3), dim(4), dim(5, true)};
  m.a = operand(Space::Dram, 0, ElementType::Int8, {5, 0, 1});
  m.b = operand(Space::Dram, 15, ElementType::Int8, {0, 1, 4});
  m.accumulator = operand(Space::Acc, 32, ElementType::Int32, {16, 4, 0});
  m.hasEpilogue = true;
  m.epilogueInputs = {operand(Space::Dram, 64, ElementType::Float32, {0, 4, 0})};
  m.out = operand(Space::Dram, 128, ElementType::Int8, {4, 1, 0});
  m.epilogue = body({inst(BodyOp::Input, true, 0), inst(BodyOp::Input, true, 1),
                     inst(BodyOp::Mul, true, 0, 1), inst(BodyOp::Constant, true, -1, -1, -1, 3),
                     inst(BodyOp::Round, true, 2), inst(BodyOp::Add, true, 4, 3)},
                    {5});
  bench.add(m);
  auto got = bench.run();
  for (int64_t p = 0; p < 3; ++p)
    for (int64_t c = 0; c < 4; ++c) {
      int32_t sum = 0;
      for (int64_t k = 0; k < 5; ++k)
        sum += int8_t(bench.dram[p * 5 + k]) * int8_t(bench.dram[15 + k * 4 + c]);
      float scaled = std::nearbyint(float(sum) * float(0.004 * (c + 1))) + 3;
      CHECK(int(Bench::at<int8_t>(got, 128 + p * 4 + c)) ==
            int(std::min(127.f, std::max(-128.f, scaled))));
    }
}

TEST_CASE("a matrix command outside its memory is an error", "[functional][matrix]") {
  Bench bench(64);
  MatrixCommand m;
  m.dims = {dim(4), dim(4), dim(4, true)};
  m.a = operand(Space::Dram, 0, ElementType::Float32, {16, 0, 4});
  m.b = operand(Space::Dram, 4, ElementType::Float32, {0, 16, 4});
  m.accumulator = operand(Space::Acc, 0, ElementType::Float32, {16, 4, 0});
  bench.add(m);
  CHECK_THAT(bench.tryRun(), Catch::Contains("of a memory of 64"));
}
