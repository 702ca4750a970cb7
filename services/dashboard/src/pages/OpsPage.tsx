import { Header } from "../components/Header";

export function OpsPage({ handedOver }: { handedOver: string | null }) {
  return <Header page="ops">{handedOver}</Header>;
}
