/** What the client needs of a WebSocket, so that tests can be the other end. */

export const SUBPROTOCOL = "tiercast.v1";

export interface Socket {
  readonly readyState: number;
  onmessage: ((event: MessageEvent) => void) | null;
  onclose: ((event: CloseEvent) => void) | null;
  send(data: string): void;
  close(): void;
}

/** A browser cannot set headers: the token travels as a second subprotocol, which the server never answers with. */
export type CreateSocket = (url: string, protocols: [string, string]) => Socket;

export const browserSocket: CreateSocket = (url, protocols) => new WebSocket(url, protocols);
