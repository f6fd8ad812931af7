//===- AttributesTest.cpp - Tensors and nodes to MLIR and back ----------------===//

#include "compiler/import/Attributes.h"
#include "compiler/import/Import.h"
#include "runtime/reference/Reference.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"

#include <catch2/catch.hpp>

using namespace npucc;

namespace {

/// A tensor of every byte pattern that matters, whatever the type.
Tensor patterned(ElementType type, llvm::ArrayRef<int64_t> shape) {
  Tensor tensor = Tensor::zeros(type, shape);
  for (size_t i = 0; i < tensor.byteSize(); ++i)
    tensor.mutableData()[i] =
        type == ElementType::Bool ? i % 2 : static_cast<uint8_t>(i * 37 + 129);
  // The unused half of the last byte is no part of the tensor.
  if (bitWidth(type) == 4 && tensor.size() % 2)
    tensor.mutableData()[tensor.byteSize() - 1] &= 15;
  return tensor;
}

bool sameTensor(const Tensor &a, const Tensor &b) {
  return a.type() == b.type() && a.shape() == b.shape() && a.byteSize() == b.byteSize() &&
         (a.byteSize() == 0 || std::memcmp(a.data(), b.data(), a.byteSize()) == 0);
}

Tensor back(mlir::ElementsAttr attr) {
  llvm::Expected<Tensor> tensor = tensorFromAttr(attr);
  REQUIRE(static_cast<bool>(tensor));
  return *tensor;
}

const ElementType kAllTypes[] = {
    ElementType::Float32,        ElementType::Uint8,          ElementType::Int8,
    ElementType::Uint16,         ElementType::Int16,          ElementType::Int32,
    ElementType::Int64,          ElementType::Bool,           ElementType::Float16,
    ElementType::Float64,        ElementType::Uint32,         ElementType::Uint64,
    ElementType::Complex64,      ElementType::Complex128,     ElementType::BFloat16,
    ElementType::Float8E4M3FN,   ElementType::Float8E4M3FNUZ, ElementType::Float8E5M2,
    ElementType::Float8E5M2FNUZ, ElementType::Uint4,          ElementType::Int4};

struct Fixture {
  mlir::MLIRContext context{mlir::MLIRContext::Threading::DISABLED};
  Fixture() { context.loadDialect<onnx::OnnxDialect, mlir::func::FuncDialect>(); }
};

} // namespace

TEST_CASE("Attributes: element types go to MLIR and back") {
  Fixture f;
  for (ElementType type : kAllTypes) {
    INFO(std::string(name(type)));
    CHECK(fromMlirType(toMlirType(type, &f.context)) == type);
  }
  CHECK_FALSE(toMlirType(ElementType::String, &f.context));
  CHECK(fromMlirType(mlir::IndexType::get(&f.context)) == ElementType::Undefined);
}

TEST_CASE("Attributes: tensors of every type survive, small and large") {
  Fixture f;
  for (ElementType type : kAllTypes) {
    INFO(std::string(name(type)));
    for (Shape shape : {Shape{}, Shape{3}, Shape{5, 3}, Shape{0, 4}, Shape{41, 17}}) {
      Tensor tensor = patterned(type, shape);
      mlir::ElementsAttr attr = attrFromTensor(tensor, &f.context);
      REQUIRE(attr);
      CHECK(attr.getShapedType().getShape() == llvm::ArrayRef<int64_t>(shape));
      CHECK(sameTensor(back(attr), tensor));
    }
  }
}

TEST_CASE("Attributes: equal elements are one in MLIR and many again") {
  Fixture f;
  for (ElementType type : {ElementType::Float32, ElementType::Bool, ElementType::Int4}) {
    Tensor tensor = castTensor(
        Tensor::of<float>(ElementType::Float32, {3}, llvm::ArrayRef<float>{1, 1, 1}), type);
    CHECK(sameTensor(back(attrFromTensor(tensor, &f.context)), tensor));
  }
}

TEST_CASE("Attributes: large tensors share their bytes, and outlive the context") {
  Tensor tensor = patterned(ElementType::Float32, {64, 64}), again;
  {
    Fixture f;
    mlir::ElementsAttr attr = attrFromTensor(tensor, &f.context, "w");
    REQUIRE(llvm::isa<mlir::DenseResourceElementsAttr>(attr));
    again = back(attr);
  }
  CHECK(again.data() == tensor.data());
  tensor = Tensor();
  CHECK(again.values<uint8_t>()[0] == 129);
}

TEST_CASE("Attributes: nodes survive with all kinds of attributes") {
  Fixture f;
  mlir::OpBuilder b(&f.context);
  mlir::OwningOpRef<mlir::ModuleOp> module = mlir::ModuleOp::create(b.getUnknownLoc());
  b.setInsertionPointToEnd(module->getBody());

  Node node;
  node.attributes["i"].value = int64_t(-7);
  node.attributes["f"].value = 0.1f;
  node.attributes["s"].value = std::string("linear");
  node.attributes["t"].value = patterned(ElementType::Int8, {2, 2});
  node.attributes["is"].value = std::vector<int64_t>{1, -2};
  node.attributes["fs"].value = std::vector<float>{0.5f, 1e-30f};
  node.attributes["ss"].value = std::vector<std::string>{"Tanh", ""};
  node.attributes["g"].value = std::make_shared<Graph>();
  mlir::NamedAttrList attributes;
  for (const auto &[name, attribute] : node.attributes)
    attributes.set(name, toMlirAttribute(attribute, &f.context, "n"));

  auto type = mlir::RankedTensorType::get({4}, b.getF32Type());
  mlir::Value none = onnx::NoneOp::create(b, b.getUnknownLoc(), b.getNoneType());
  mlir::Value x = onnx::ConstantOp::create(
      b, b.getUnknownLoc(), type, attrFromTensor(patterned(ElementType::Float32, {4}), &f.context));
  auto op = onnx::NodeOp::create(b, mlir::NameLoc::get(b.getStringAttr("n1")),
                                 mlir::TypeRange{b.getNoneType(), type}, "Mystery", "com.example",
                                 mlir::ValueRange{none, x}, attributes.getDictionary(&f.context));

  llvm::Expected<Node> result = nodeFromOp(op);
  REQUIRE(static_cast<bool>(result));
  CHECK(result->name == "n1");
  CHECK(result->opType == "Mystery");
  CHECK(result->domain == "com.example");
  CHECK(result->inputs == std::vector<ValueId>{kNoValue, 1});
  CHECK(result->outputs == std::vector<ValueId>{kNoValue, 1});
  CHECK(result->getInt("i", 0) == -7);
  CHECK(result->getFloat("f", 0) == 0.1f);
  CHECK(result->getString("s", "") == "linear");
  CHECK(sameTensor(*result->getTensor("t"), *node.getTensor("t")));
  CHECK(result->getInts("is") == node.getInts("is"));
  CHECK(result->getFloats("fs") == node.getFloats("fs"));
  CHECK(std::get<std::vector<std::string>>(result->attributes["ss"].value) ==
        std::vector<std::string>{"Tanh", ""});
  CHECK(result->getGraph("g") == node.getGraph("g"));
}

TEST_CASE("Attributes: constant expressions are found and evaluated") {
  Fixture f;
  mlir::OpBuilder b(&f.context);
  mlir::OwningOpRef<mlir::ModuleOp> module = mlir::ModuleOp::create(b.getUnknownLoc());
  b.setInsertionPointToEnd(module->getBody());
  mlir::Location loc = b.getUnknownLoc();
  auto f32 = mlir::RankedTensorType::get({3}, b.getF32Type());
  auto function = mlir::func::FuncOp::create(b, loc, "main", b.getFunctionType({f32}, {}));
  b.setInsertionPointToEnd(function.addEntryBlock());
  auto node = [&](llvm::StringRef op, mlir::ValueRange inputs) -> mlir::Value {
    return onnx::NodeOp::create(b, loc, mlir::TypeRange{f32}, op, "", inputs,
                                b.getDictionaryAttr({}))
        .getOutputs()[0];
  };

  Tensor numbers = Tensor::of<float>(ElementType::Float32, {3}, llvm::ArrayRef<float>{-1, 2, 3});
  mlir::Value constant = onnx::ConstantOp::create(b, loc, f32, attrFromTensor(numbers, &f.context));
  mlir::Value relu = node("Relu", constant);
  // Long enough that a recursive walk, or one without memory, would not come back.
  mlir::Value chain = relu;
  for (int i = 0; i < 60; ++i)
    chain = node("Add", {chain, chain});
  mlir::Value argument = function.getArgument(0);

  CHECK(isConstantExpression(relu));
  CHECK(isConstantExpression(chain));
  CHECK_FALSE(isConstantExpression(argument));
  CHECK_FALSE(isConstantExpression(node("Add", {chain, argument})));
  CHECK_FALSE(isConstantExpression(node("RandomNormalLike", constant)));

  ConstantCache cache;
  llvm::Expected<Tensor> value = evaluateConstant(chain, cache);
  REQUIRE(static_cast<bool>(value));
  CHECK(value->asDouble(0) == 0);
  CHECK(value->asDouble(1) == std::ldexp(2.0, 60));
  CHECK(cache.size() == 62);

  mlir::Value stored =
      onnx::DataOp::create(b, loc, mlir::RankedTensorType::get({3}, b.getBF16Type()), constant);
  value = evaluateConstant(stored, cache);
  REQUIRE(static_cast<bool>(value));
  CHECK(value->type() == ElementType::BFloat16);
  CHECK(value->asDouble(2) == 3);

  value = evaluateConstant(argument, cache);
  CHECK_FALSE(static_cast<bool>(value));
  llvm::consumeError(value.takeError());
}
