//===- VectorTest.cpp - Vector commands, bodies, element types ------------===//

#include "tests/simulator/functional/Bench.h"

#include <cmath>
#include <limits>

using namespace npucc;
using namespace npucc::test;

namespace {

using T = ElementType;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

double one(BodyOp op, bool isFloat, std::vector<double> operands, T type, T out,
           T wrap = T::Undefined) {
  Body b;
  for (size_t i = 0; i < operands.size(); ++i)
    b.insts.push_back(inst(BodyOp::Input, isFloat, int(i)));
  int n = int(operands.size());
  b.insts.push_back(inst(op, isFloat, 0, n > 1 ? 1 : -1, n > 2 ? 2 : -1, 0, wrap));
  b.yields = {int16_t(n)};
  std::vector<T> types(operands.size(), type);
  double result = -1;
  evaluateBody(b, operands, types, {}, {out}, {&result, 1});
  return result;
}

double store(double value, T out) { // f32 to `out`
  double result = -1;
  evaluateBody(body({inst(BodyOp::Constant, true, -1, -1, -1, value)}, {0}), {}, {}, {}, {out},
               {&result, 1});
  return result;
}

/// A random body over `inputs` operands and, perhaps, current outputs.
Body randomBody(Random &random, int operands, int rank, int outputs) {
  Body b;
  const BodyOp ops[] = {BodyOp::Add,     BodyOp::Sub,  BodyOp::Mul,   BodyOp::Max,
                        BodyOp::Min,     BodyOp::Fma,  BodyOp::Less,  BodyOp::Select,
                        BodyOp::Abs,     BodyOp::Tanh, BodyOp::Exp,   BodyOp::Floor,
                        BodyOp::Sigmoid, BodyOp::Div,  BodyOp::ToInt, BodyOp::RoundTo,
                        BodyOp::ToFloat, BodyOp::Xor,  BodyOp::Neg,   BodyOp::Erf};
  for (int i = 0; i < operands; ++i)
    b.insts.push_back(inst(BodyOp::Input, random() % 2, i));
  b.insts.push_back(inst(BodyOp::Index, random() % 2, int(pick(random, 0, rank - 1))));
  b.insts.push_back(inst(BodyOp::Constant, true, -1, -1, -1, 1.5));
  for (int i = 0; i < 6; ++i) {
    int n = int(b.insts.size()) - 1;
    BodyOp op = ops[random() % std::size(ops)];
    bool isFloat = op == BodyOp::ToInt ? false : op == BodyOp::ToFloat || random() % 3;
    T wrap = op == BodyOp::RoundTo      ? T::BFloat16
             : !isFloat && random() % 2 ? T::Int16
                                        : T::Undefined;
    if (op == BodyOp::RoundTo)
      isFloat = true;
    auto arg = [&] { return int(pick(random, 0, n)); };
    bool unary = op >= BodyOp::Floor || op == BodyOp::Abs || op == BodyOp::Neg;
    bool ternary = op == BodyOp::Fma || op == BodyOp::Select;
    b.insts.push_back(inst(op, isFloat, arg(), unary ? -1 : arg(), ternary ? arg() : -1, 0, wrap));
  }
  for (int o = 0; o < outputs; ++o)
    b.yields.push_back(int16_t(b.insts.size() - 1 - o));
  return b;
}

} // namespace

TEST_CASE("scalar instructions", "[functional][body]") {
  CHECK(one(BodyOp::Max, true, {-1, 2}, T::Float32, T::Float32) == 2);
  CHECK(std::isnan(one(BodyOp::Max, true, {kNan, 2}, T::Float32, T::Float32)));
  CHECK(std::isnan(one(BodyOp::Max, true, {2, kNan}, T::Float32, T::Float32)));
  CHECK(std::isnan(one(BodyOp::Min, true, {2, kNan}, T::Float32, T::Float32)));
  CHECK(one(BodyOp::Div, false, {-7, 2}, T::Int32, T::Int32) == -3);
  CHECK(one(BodyOp::Mod, false, {-7, 2}, T::Int32, T::Int32) == -1);
  CHECK(one(BodyOp::Div, false, {7, 0}, T::Int32, T::Int32) == 0);
  CHECK(one(BodyOp::Mod, true, {-7, 2}, T::Float32, T::Float32) == -1);
  CHECK(one(BodyOp::Add, false, {127, 1}, T::Int8, T::Int32, T::Int8) == -128);
  CHECK(one(BodyOp::Not, false, {5}, T::Int32, T::Int32) == 0);
  CHECK(one(BodyOp::Xor, false, {6, 3}, T::Int32, T::Int32) == 5);
  CHECK(one(BodyOp::Round, true, {2.5}, T::Float32, T::Float32) == 2);
  CHECK(one(BodyOp::Round, true, {3.5}, T::Float32, T::Float32) == 4);
  CHECK(one(BodyOp::LessEqual, true, {3, 3}, T::Float32, T::Bool) == 1);
  CHECK(one(BodyOp::Less, true, {kNan, 3}, T::Float32, T::Bool) == 0);
  CHECK(one(BodyOp::Select, true, {0.5, 3, 4}, T::Float32, T::Float32) == 3);
  CHECK(one(BodyOp::Fma, false, {3, 4, 5}, T::Int32, T::Int32) == 17);
  CHECK(one(BodyOp::Rsqrt, true, {4}, T::Float32, T::Float32) == 0.5);
  CHECK(one(BodyOp::Sigmoid, true, {0}, T::Float32, T::Float32) == 0.5);
  CHECK(one(BodyOp::Pow, true, {2, 10}, T::Float32, T::Float32) == 1024);
  CHECK(one(BodyOp::RoundTo, true, {1.00390625}, T::Float32, T::Float32, T::BFloat16) == 1);
  // ToInt truncates and saturates
  Body toInt =
      body({inst(BodyOp::Input, true, 0), inst(BodyOp::ToInt, false, 0, -1, -1, 0, T::Int8)}, {1});
  for (auto [in, out] : {std::pair(-1.9, -1.0), {300.0, 127.0}, {-1e30, -128.0}, {kNan, 0.0}}) {
    double result = -1;
    evaluateBody(toInt, {in}, {T::Float32}, {}, {T::Int32}, {&result, 1});
    CHECK(result == out);
  }
}

TEST_CASE("f32 stores round half to even and saturate", "[functional][body]") {
  CHECK(store(2.5, T::Int8) == 2);
  CHECK(store(-3.5, T::Int8) == -4);
  CHECK(store(1000, T::Int8) == 127);
  CHECK(store(-1000, T::Int8) == -128);
  CHECK(store(-1, T::Uint8) == 0);
  CHECK(store(256, T::Uint8) == 255);
  CHECK(store(1e20, T::Int32) == 2147483647);
  CHECK(store(-1e20, T::Int32) == -2147483648.0);
  CHECK(store(9, T::Int4) == 7);
  CHECK(store(-9, T::Int4) == -8);
  CHECK(store(kNan, T::Int8) == 0);
  CHECK(store(1e6, T::Float16) == std::numeric_limits<double>::infinity());
  CHECK(store(1e6, T::Float8E4M3FN) == 448);
  CHECK(store(std::ldexp(1.0, -24), T::Float16) == std::ldexp(1.0, -24));
}

TEST_CASE("small floats survive a round trip", "[functional][body]") {
  for (T type : {T::Float16, T::BFloat16, T::Float8E4M3FN, T::Float8E5M2, T::Float8E4M3FNUZ}) {
    unsigned count = 1u << bitWidth(type);
    for (unsigned bits = 0; bits < count; ++bits) {
      uint8_t from[8] = {uint8_t(bits), uint8_t(bits >> 8)}, to[8] = {};
      float value;
      accessOf(type).loadFloats(from, 0, 1, &value);
      double exact = decodeElement(type, from);
      if (!std::isfinite(value)) // fp8 saturates
        continue;
      accessOf(type).storeFloats(to, 8, 1, &value);
      if (std::memcmp(from, to, 8) != 0 || exact != value)
        FAIL(name(type) << " bits " << bits);
    }
  }
}

TEST_CASE("blocks agree with evaluateBody to the bit", "[functional][vector]") {
  const T types[] = {T::Float32, T::Int8, T::Uint8, T::Int32, T::Float16, T::BFloat16, T::Int16};
  for (uint32_t seed = 1; seed <= 300; ++seed) {
    INFO("seed " << seed);
    Random random(seed);
    int rank = int(pick(random, 1, 4)), inputs = int(pick(random, 1, 3)),
        outputs = int(pick(random, 1, 2));
    VectorCommand v;
    for (int d = 0; d < rank; ++d) {
      v.dims.push_back(dim(pick(random, 1, rank < 3 ? 40 : 9)));
      if (random() % 4 == 0) {
        v.dims[d].clipped = true;
        v.dims[d].start.constant = 5;
        v.dims[d].bound = 5 + pick(random, 1, v.dims[d].extent + 2);
      }
    }
    int64_t at = 0;
    auto place = [&](bool isOutput) {
      T type = types[random() % std::size(types)];
      Operand o = operand(Space::Dram, at, type, {});
      int64_t stride = elementBytes(type);
      o.strides.resize(rank);
      std::vector<int> order(rank);
      for (int d = 0; d < rank; ++d)
        order[d] = d;
      std::shuffle(order.begin(), order.end(), random);
      if (random() % 2)
        std::sort(order.rbegin(), order.rend()); // row-major: dimensions merge
      for (int d : order) {
        bool broadcast = !isOutput && random() % 4 == 0;
        o.strides[d] = broadcast ? 0 : stride;
        if (!broadcast)
          stride *= v.dims[d].extent + (random() % 4 == 0);
      }
      if (random() % 4 == 0) { // walk one dimension backwards
        o.address.offset.constant += (v.dims[0].extent - 1) * o.strides[0];
        o.strides[0] = -o.strides[0];
      }
      if (random() % 3 == 0) {
        Guard g;
        g.start.constant = pick(random, -4, 4);
        for (int d = 0; d < rank; ++d)
          g.coefficients.push_back(pick(random, -2, 2));
        g.bound = pick(random, 1, 30);
        o.guards.push_back(g);
        o.fill = isInteger(type) ? 3 : -2.5;
      }
      at += stride;
      return o;
    };
    for (int i = 0; i < inputs; ++i)
      v.inputs.push_back(place(false));
    for (int i = 0; i < outputs; ++i)
      v.outputs.push_back(place(true));
    v.body = randomBody(random, inputs + outputs, rank, outputs);
    Bench bench(at + 8);
    for (int64_t i = 0; i + 1 < at; i += 2) // small numbers in every format
      bench.put(i, T::Int16, pick(random, -300, 300) * 16 + 0x3f00);
    bench.add(v);
    auto got = bench.run();

    auto expected = bench.dram;
    llvm::SmallVector<int64_t, 8> extents;
    clippedExtents(v.dims, bench.state, extents);
    eachPoint(extents, [&](llvm::ArrayRef<int64_t> index) {
      std::vector<double> operands;
      std::vector<T> operandTypes, outputTypes;
      llvm::SmallVector<bool, 4> outside;
      auto read = [&](const Operand &o) {
        outside.push_back(false);
        for (const Guard &g : o.guards) {
          int64_t c = g.start.constant + dot(g.coefficients, index);
          outside.back() |= c < 0 || c >= g.bound;
        }
        operandTypes.push_back(o.type);
        operands.push_back(
            outside.back()
                ? o.fill
                : decodeElement(o.type,
                                &bench.dram[o.address.offset.constant + dot(o.strides, index)]));
      };
      for (const Operand &o : v.inputs)
        read(o);
      for (const Operand &o : v.outputs) {
        read(o);
        outputTypes.push_back(o.type);
      }
      std::vector<int64_t> global(index.begin(), index.end());
      for (int d = 0; d < rank; ++d)
        global[d] += v.dims[d].start.constant;
      std::vector<double> results(outputs);
      evaluateBody(v.body, operands, operandTypes, global, outputTypes, results);
      for (int o = 0; o < outputs; ++o)
        if (!outside[inputs + o])
          encodeElement(
              v.outputs[o].type, results[o],
              &expected[v.outputs[o].address.offset.constant + dot(v.outputs[o].strides, index)]);
    });
    // NaN may change its payload on the way through double: compare numbers.
    for (const Operand &o : v.outputs)
      eachPoint(extents, [&](llvm::ArrayRef<int64_t> index) {
        int64_t offset = o.address.offset.constant + dot(o.strides, index);
        double x = decodeElement(o.type, &got[offset]),
               y = decodeElement(o.type, &expected[offset]);
        if (!(x == y || (std::isnan(x) && std::isnan(y))))
          FAIL("output is " << x << ", expected " << y << " (" << name(o.type) << ")");
      });
  }
}

TEST_CASE("reductions keep the order of the loops", "[functional][vector]") {
  // Row maximum and cumulative sum (a second output with the reduction dimension) of 300 x 7.
  Bench bench(300 * 7 * 4 * 2 + 300 * 4);
  Random random(3);
  for (int64_t i = 0; i < 2100; ++i)
    bench.put(i * 4, T::Float32, pick(random, -1000, 1000) / 8.0);
  int64_t maxBase = 8400, sumBase = maxBase + 1200;
  for (int64_t i = 0; i < 300; ++i)
    bench.put(maxBase + 4 * i, T::Float32, 50);
  VectorCommand v;
  v.dims = {dim(300), dim(7, true)};
  v.inputs = {operand(Space::Dram, 0, T::Float32, {28, 4})};
  v.outputs = {operand(Space::Dram, maxBase, T::Float32, {4, 0})};
  v.body = body(
      {inst(BodyOp::Input, true, 0), inst(BodyOp::Input, true, 1), inst(BodyOp::Max, true, 0, 1)},
      {2});
  v.initial = {-std::numeric_limits<double>::infinity()};
  SECTION("from the initial value") {}
  SECTION("from memory") {
    v.clearIf.always = false;
    v.clearIf.equals = 1;
  }
  bench.add(v);
  VectorCommand scan = v;
  scan.outputs = {operand(Space::Dram, sumBase, T::Float32, {28, 4})};
  scan.inputs.push_back(operand(Space::Dram, sumBase - 4, T::Float32, {28, 4}));
  Guard hasPrevious; // element j - 1 of the running sum, 0 before the first
  hasPrevious.start.constant = -1;
  hasPrevious.coefficients = {0, 1};
  hasPrevious.bound = 7;
  scan.inputs[1].guards = {hasPrevious};
  scan.body = body(
      {inst(BodyOp::Input, true, 0), inst(BodyOp::Input, true, 1), inst(BodyOp::Add, true, 0, 1)},
      {2});
  scan.initial.clear();
  bench.add(scan);
  auto got = bench.run();
  for (int64_t r = 0; r < 300; ++r) {
    float most = v.clearIf.always ? -INFINITY : 50, sum = 0;
    for (int64_t c = 0; c < 7; ++c) {
      float x = Bench::at<float>(got, (r * 7 + c) * 4);
      most = std::max(most, x);
      sum += x;
      REQUIRE(Bench::at<float>(got, sumBase + (r * 7 + c) * 4) == sum);
    }
    REQUIRE(Bench::at<float>(got, maxBase + r * 4) == most);
  }
}

TEST_CASE("look-up tables", "[functional][vector]") {
  Bench bench(1024);
  for (int64_t i = 0; i < 256; ++i)
    bench.put(i, T::Uint8, double((i * 7 + 3) % 256));
  for (int64_t i = 0; i < 300; ++i)
    bench.put(256 + i, T::Uint8, double(i % 256));
  VectorCommand v;
  v.dims = {dim(300)};
  v.inputs = {operand(Space::Dram, 256, T::Uint8, {1}), operand(Space::Dram, 0, T::Uint8, {0})};
  v.outputs = {operand(Space::Dram, 600, T::Uint8, {1})};
  v.body = body({inst(BodyOp::Input, false, 0), inst(BodyOp::Lookup, false, 1, 0)}, {1});
  bench.add(v);
  auto got = bench.run();
  for (int64_t i = 0; i < 300; ++i)
    REQUIRE(int(got[600 + i]) == ((i % 256) * 7 + 3) % 256);
}
