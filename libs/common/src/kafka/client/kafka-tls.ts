import { isIP } from 'node:net';
import { connect } from 'node:tls';
import type { ISocketFactory } from 'kafkajs';
import type { TlsTexts } from '../../config/kafka-security.config.js';

/** As kafkajs's own sockets have it. */
const KEEP_ALIVE_MS = 60_000;

/** Sockets for kafkajs. Each asks for the certificates of now; kafkajs alone would keep those of its start. */
export function tlsSockets(textsNow: () => TlsTexts): ISocketFactory {
  return ({ host, port, onConnect }) => {
    const name = isIP(host) === 0 ? { servername: host } : {};
    const socket = connect({ host, port, ...name, ...textsNow() }, onConnect);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    return socket;
  };
}
