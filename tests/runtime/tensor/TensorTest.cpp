//===- TensorTest.cpp - Element types, small floats, tensors ------------------===//

#include "runtime/tensor/Tensor.h"
#include "runtime/tensor/Float.h"
#include "tests/runtime/TestSupport.h"

#include <cmath>
#include <limits>

using namespace npucc;
using namespace npucc::test;

TEST_CASE("element types have names that parse back", "[tensor]") {
  for (int i = 1; i <= 22; ++i) {
    auto type = static_cast<ElementType>(i);
    CHECK(parseElementType(name(type)) == type);
  }
  CHECK(parseElementType("float32") == ElementType::Float32);
  CHECK(parseElementType("i8") == ElementType::Int8);
  CHECK(parseElementType("fp8") == ElementType::Float8E4M3FN);
  CHECK_FALSE(parseElementType("undefined"));
  CHECK_FALSE(parseElementType(""));
  CHECK(bitWidth(ElementType::Int4) == 4);
  CHECK(bitWidth(ElementType::Complex128) == 128);
  CHECK(isInteger(ElementType::Uint4));
  CHECK_FALSE(isInteger(ElementType::Bool));
  CHECK(isFloat(ElementType::Float8E5M2FNUZ));
  CHECK_FALSE(isFloat(ElementType::Complex64));
  CHECK(isSigned(ElementType::BFloat16));
  CHECK_FALSE(isSigned(ElementType::Uint16));
}

TEST_CASE("every pattern of a small float survives decoding and encoding", "[tensor]") {
  for (ElementType type :
       {ElementType::Float16, ElementType::BFloat16, ElementType::Float8E4M3FN,
        ElementType::Float8E4M3FNUZ, ElementType::Float8E5M2, ElementType::Float8E5M2FNUZ}) {
    int wrong = 0;
    for (uint32_t bits = 0; bits < 1u << bitWidth(type); ++bits) {
      double value = decodeFloat(type, bits);
      uint32_t back = encodeFloat(type, value, /*saturate=*/false);
      wrong += std::isnan(value) ? !std::isnan(decodeFloat(type, back)) : back != bits;
    }
    INFO(name(type));
    CHECK(wrong == 0);
  }
}

TEST_CASE("small floats round to nearest even and overflow as ONNX says", "[tensor]") {
  double infinity = std::numeric_limits<double>::infinity();
  CHECK(encodeFloat(ElementType::Float16, 1.0) == 0x3C00);
  CHECK(encodeFloat(ElementType::Float16, 2049.0) == 0x6800);  // tie to even
  CHECK(encodeFloat(ElementType::Float16, 2051.0) == 0x6802);  // tie to even, upwards
  CHECK(encodeFloat(ElementType::Float16, 65519.9) == 0x7BFF); // largest finite
  CHECK(encodeFloat(ElementType::Float16, 65520.0) == 0x7C00); // infinity
  CHECK(encodeFloat(ElementType::Float16, 0x1p-25) == 0);      // tie to zero
  CHECK(encodeFloat(ElementType::Float16, 0x1.8p-25) == 1);    // smallest subnormal
  CHECK(encodeFloat(ElementType::Float16, -0.0) == 0x8000);
  CHECK(encodeFloat(ElementType::BFloat16, 3.38953139e38) == 0x7F7F);
  CHECK(encodeFloat(ElementType::BFloat16, 1.00390625) == 0x3F80); // 1 + 2^-8: tie to even
  // A float in between would make 1 + 2^-8 + 2^-40 a tie; it lies above.
  CHECK(encodeFloat(ElementType::BFloat16, 1.00390625 + 0x1p-40) == 0x3F81);
  CHECK(decodeFloat(ElementType::Float8E4M3FN, 0x7E) == 448);
  CHECK(decodeFloat(ElementType::Float8E4M3FNUZ, 0x7F) == 240);
  CHECK(decodeFloat(ElementType::Float8E5M2, 0x7B) == 57344);
  CHECK(decodeFloat(ElementType::Float8E5M2FNUZ, 0x7F) == 57344);
  CHECK(encodeFloat(ElementType::Float8E4M3FN, 1e6) == 0x7E);
  CHECK(encodeFloat(ElementType::Float8E4M3FN, 1e6, false) == 0x7F);
  CHECK(encodeFloat(ElementType::Float8E5M2, infinity) == 0x7B);
  CHECK(encodeFloat(ElementType::Float8E5M2, infinity, false) == 0x7C);
  CHECK(encodeFloat(ElementType::Float8E4M3FNUZ, -0.0) == 0);
  CHECK(encodeFloat(ElementType::Float8E4M3FNUZ, std::nan("")) == 0x80);
}

TEST_CASE("element counts do not overflow", "[tensor]") {
  CHECK(checkedElementCount({}) == 1);
  CHECK(checkedElementCount({2, 3, 0}) == 0);
  CHECK(checkedElementCount({int64_t(1) << 62}) == int64_t(1) << 62);
  CHECK_FALSE(checkedElementCount({int64_t(1) << 31, int64_t(1) << 31, 2}));
  CHECK_FALSE(checkedElementCount({-1}));
  CHECK_FALSE(checkedElementCount({0, -1}));
}

TEST_CASE("copies and views share bytes", "[tensor]") {
  Tensor a = Tensor::of<float>(ElementType::Float32, {2, 3}, {1, 2, 3, 4, 5, 6});
  Tensor b = a, c = a.reshaped({3, 2});
  CHECK(a.data() == b.data());
  CHECK(a.data() == c.data());
  CHECK(shapeOf(c) == std::vector<int64_t>{3, 2});
  CHECK(c.size() == 6);
  auto owner = std::make_shared<std::vector<int32_t>>(std::vector<int32_t>{7, 8});
  std::weak_ptr<std::vector<int32_t>> watch = owner;
  Tensor view = Tensor::view(ElementType::Int32, {2}, owner->data(), owner);
  owner.reset();
  CHECK_FALSE(watch.expired());
  CHECK(view.asInt(1) == 8);
  view = Tensor();
  CHECK(watch.expired());
  CHECK_FALSE(view.defined());
  CHECK(view.size() == 0);
  Tensor scalar = Tensor::zeros(ElementType::Int64, {});
  CHECK(scalar.size() == 1);
  CHECK(scalar.byteSize() == 8);
  Tensor nibbles = Tensor::zeros(ElementType::Int4, {3});
  CHECK(nibbles.byteSize() == 2);
  Tensor text = Tensor::strings({2}, {"a", "b"});
  CHECK(text.stringValues()[1] == "b");
}

TEST_CASE("casting follows ONNX", "[tensor]") {
  Tensor floats = Tensor::of<float>(ElementType::Float32, {5}, {-1.9f, 1.9f, 300.f, 0.f, 1e20f});
  CHECK(listOf<int32_t>(castTensor(floats.reshaped({5}), ElementType::Int32))[0] == -1);
  CHECK(listOf<int64_t>(castTensor(floats, ElementType::Int64)) ==
        std::vector<int64_t>{-1, 1, 300, 0, INT64_MAX});
  CHECK(listOf<uint8_t>(castTensor(floats, ElementType::Bool)) ==
        std::vector<uint8_t>{1, 1, 1, 0, 1});
  Tensor wide = Tensor::of<int64_t>(ElementType::Int64, {3}, {-1, 256, (int64_t(1) << 53) + 1});
  CHECK(listOf<uint8_t>(castTensor(wide, ElementType::Uint8)) == std::vector<uint8_t>{255, 0, 1});
  CHECK(castTensor(wide, ElementType::Uint64).asInt(0) == -1);
  CHECK(listOf<int64_t>(castTensor(wide, ElementType::Int64))[2] == (int64_t(1) << 53) + 1);
  Tensor packed =
      castTensor(Tensor::of<int8_t>(ElementType::Int8, {3}, {-8, 7, -1}), ElementType::Int4);
  CHECK(listOf<uint8_t>(packed) == std::vector<uint8_t>{0x78, 0x0F});
  CHECK(packed.asInt(0) == -8);
  CHECK(packed.asInt(1) == 7);
  CHECK(packed.asDouble(2) == -1);
  CHECK(castTensor(packed, ElementType::Uint4).asInt(2) == 15);
  Tensor half = castTensor(floats, ElementType::Float16);
  CHECK(std::isinf(half.asDouble(4)));
  CHECK(castTensor(floats, ElementType::Float8E4M3FN).asDouble(2) == 288);
  Tensor big = Tensor::of<double>(ElementType::Float64, {2}, {1.8e19, std::nan("")});
  CHECK(listOf<uint64_t>(castTensor(big, ElementType::Uint64))[0] == 18000000000000000000u);
  CHECK(castTensor(big, ElementType::Int32).asInt(1) == 0);
}
